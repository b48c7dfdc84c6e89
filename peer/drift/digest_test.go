package drift

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestDigestParts: each of its parts tells some sets apart that the others do not.
func TestDigestParts(t *testing.T) {
	of := func(hashes ...uint64) (d digest) {
		for _, h := range hashes {
			d.add(h, 1<<63|h)
		}
		return d
	}
	for what, two := range map[string][2]digest{
		"the count: one whose hash is 0":                            {digest{}, func() (d digest) { d.add(0, 0); return d }()},
		"the sum: one that is there twice, for another one that is": {of(1, 1), of(2, 2)},
		"the XOR: two with the same sum":                            {of(1, 4), of(2, 3)},
	} {
		if two[0] == two[1] {
			t.Errorf("%s: equal", what)
		}
	}
	var d, e digest // the carry
	d.add(0, 1<<63)
	d.add(0, 1<<63)
	e.add(1, 0)
	e.add(0, 0)
	if d.hi != e.hi || d.lo != e.lo {
		t.Errorf("the sum is %x %x, want %x %x", d.hi, d.lo, e.hi, e.lo)
	}
}

// TestDigests: two sets have the same digests if, and only if, they are the same, as a
// comparison pin by pin says, in whatever order they are added up.
func TestDigests(t *testing.T) {
	type pin struct {
		c    api.Cid
		mode api.PinMode
	}
	var all []pin
	for i := range 6 {
		c := statetest.Cid(fmt.Sprint(i))
		all = append(all, pin{c, api.PinModeRecursive}, pin{c, api.PinModeDirect})
	}
	draw := rand.New(rand.NewPCG(1, 2))
	equal, k := 0, newKey()
	for range 5000 {
		var sets [2]map[pin]int
		var sums [2]digests
		base := map[pin]int{}
		for range draw.IntN(6) {
			base[all[draw.IntN(len(all))]]++
		}
		for i := range sets {
			sets[i] = maps.Clone(base)
			for range draw.IntN(3) {
				p := all[draw.IntN(len(all))]
				if sets[i][p] == 0 || draw.IntN(2) == 0 {
					sets[i][p]++
				} else if sets[i][p]--; sets[i][p] == 0 {
					delete(sets[i], p)
				}
			}
			for p, n := range sets[i] { // in another order each time
				for range n {
					sums[i].add(k, p.c, p.mode)
				}
			}
		}
		want := maps.Equal(sets[0], sets[1])
		if want {
			equal++
		}
		if (sums[0] == sums[1]) != want {
			t.Fatalf("%v and %v are equal: %t, by their digests %t", sets[0], sets[1], want, !want)
		}
	}
	if equal < 300 {
		t.Errorf("only %d pairs were equal", equal)
	}
	var one, two digests
	one.add(newKey(), all[0].c, all[0].mode)
	two.add(newKey(), all[0].c, all[0].mode)
	if b := state.Bucket(all[0].c); one[b] == two[b] {
		t.Error("two keys give the same hash")
	}
}
