package usage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// BenchmarkFold folds a day of a million deltas: half of them are of pins, half of bytes,
// of 1 MiB to 1 TiB, spread over the day. A table gives them by ID. The memory of the
// deltas themselves is not counted.
func BenchmarkFold(b *testing.B) {
	const n = 1_000_000
	deltas := make([]usage.Delta, n)
	for i := range deltas {
		deltas[i].ID = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	slices.SortFunc(deltas, func(a, b usage.Delta) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i := range deltas {
		d := &deltas[i]
		random := binary.BigEndian.Uint64(d.ID[16:])
		d.At = 20_000*day + int64(random%day)
		if i%2 == 0 {
			d.Pins = 1
		} else {
			d.Bytes = new(big.Int).SetUint64(random >> 20 % (1 << (20 + random>>8%21)))
		}
	}
	mixed := slices.Clone(deltas)
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	opening := usage.Level{Bytes: big.NewInt(exbi), Pins: 1e9}
	for name, in := range map[string][]usage.Delta{"order=id": deltas, "order=any": mixed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := usage.Fold(20_000, opening, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/delta")
		})
	}
}

// BenchmarkMonth adds up 31 days of which none is stored.
func BenchmarkMonth(b *testing.B) {
	opening := usage.Level{Bytes: big.NewInt(exbi), Pins: 1e9}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := usage.Month(20_000, 31, opening, nil); err != nil {
			b.Fatal(err)
		}
	}
}
