package usage

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

// What is hashed begins with the name of its format, which changes if the format does:
// digests and IDs are stored.
const (
	dayFormat        = "pin-billing/usage/day/1\n"
	totalFormat      = "pin-billing/usage/total/1\n"
	adjustmentFormat = "pin-billing/usage/adjustment/1\n"
)

// digest is that of a day: the opening, the number of the deltas, and of each, by their
// IDs, the ID, the time, the bytes and the pins. Numbers are 8 bytes, the first of
// them the highest; those of bytes are written by appendInt.
func digest(opening Level, deltas []Delta, byID []place) [32]byte {
	h := sha256.New()
	b := make([]byte, 0, 512)
	b = append(b, dayFormat...)
	b = appendLevel(b, opening)
	b = binary.BigEndian.AppendUint64(b, uint64(len(byID)))
	for _, p := range byID {
		h.Write(b)
		d := &deltas[p.index]
		b = append(b[:0], d.ID[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(d.At))
		b = appendInt(b, d.Bytes)
		b = binary.BigEndian.AppendUint64(b, uint64(d.Pins))
	}
	h.Write(b)
	return [32]byte(h.Sum(nil))
}

func appendLevel(b []byte, l Level) []byte {
	b = appendInt(b, l.Bytes)
	return binary.BigEndian.AppendUint64(b, uint64(l.Pins))
}

// appendInt appends a number: 0 or, for a negative one, 1; how many bytes follow, in
// four bytes; and the number without its sign, the highest byte first.
func appendInt(b []byte, n *big.Int) []byte {
	if n == nil {
		return append(b, 0, 0, 0, 0, 0)
	}
	sign, size := byte(0), (n.BitLen()+7)/8
	if n.Sign() < 0 {
		sign = 1
	}
	b = binary.BigEndian.AppendUint32(append(b, sign), uint32(size))
	for range size {
		b = append(b, 0)
	}
	n.FillBytes(b[len(b)-size:])
	return b
}
