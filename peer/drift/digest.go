package drift

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// digest is that of a set of pins: how many, and the XOR and the sum of a keyed hash of
// each. Two sets of which one has a pin that the other lacks have the same digest once in
// 2¹²⁸ cases, and nobody without the key can make them: the count and the sum tell a pin
// that is there twice from one that is not there, which the XOR does not.
type digest struct {
	count, hi, lo uint64 // hi and lo are the sum, modulo 2¹²⁸
	xorHi, xorLo  uint64
}

func (d *digest) add(hi, lo uint64) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, lo, 0)
	d.hi, _ = bits.Add64(d.hi, hi, carry)
	d.xorHi ^= hi
	d.xorLo ^= lo
	d.count++
}

// digests are those of all buckets.
type digests [state.Buckets]digest

// key is that of the hashes of one sweep.
type key [16]byte

func newKey() (k key) {
	_, _ = rand.Read(k[:]) // it never fails
	return k
}

// hash is that of a pin in a mode.
func (k key) hash(c api.Cid, mode api.PinMode) (hi, lo uint64) {
	var room [128]byte
	text := append(room[:0], k[:]...)
	text = append(text, byte(mode))
	text = append(text, c.KeyString()...)
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}

// add adds a pin to the digest of its bucket.
func (d *digests) add(k key, c api.Cid, mode api.PinMode) {
	d[state.Bucket(c)].add(k.hash(c, mode))
}
