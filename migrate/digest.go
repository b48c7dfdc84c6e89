package migrate

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
)

// bucket is the sum of pins. Two buckets with equal pins are equal in whatever
// order the pins came, since additions that wrap around can be made in any order.
// A pin is 128 bits of a hash of its key and value.
type bucket struct {
	high, low uint64
	pins      uint32
}

func (b *bucket) add(h pinHash) {
	b.high += h.high
	b.low += h.low
	b.pins++
}

// pinHash is what a pin adds to its bucket.
type pinHash struct{ high, low uint64 }

func hashPin(key, value []byte) pinHash {
	h := sha256.New()
	// The length keeps the end of the key apart from the beginning of the value.
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(key)))
	h.Write(length[:])
	h.Write(key)
	h.Write(value)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return pinHash{high: binary.BigEndian.Uint64(sum[:8]), low: binary.BigEndian.Uint64(sum[8:16])}
}

// grid cuts the keys into buckets: pieces, as the pinset can read them, and parts
// of a piece that only a reader can tell apart. Small buckets keep the harmless pins
// around a difference few.
type grid struct {
	pieces int
	parts  int // of each piece
}

func (g grid) size() int { return g.pieces * g.parts }

// bucketOf returns the bucket of a key that lies in a piece.
func (g grid) bucketOf(piece int, key []byte) int {
	h := fnv.New64a()
	h.Write(key)
	return piece*g.parts + int(h.Sum64()%uint64(g.parts))
}

// pieceOf returns in which piece a bucket lies.
func (g grid) pieceOf(bucket int) int { return bucket / g.parts }
