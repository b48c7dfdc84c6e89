package closing

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// told is a fact and when it comes, in milliseconds since 1970, perhaps more than once.
type told struct {
	claim.Fact
	comes []int64
}

// history draws what happens to owners on some days: often about midnight, up to EiB, much of it on
// time, some of it days too late, some a few minutes early, some more than once.
func history(rnd *rand.Rand, owners []string, days int64) []told {
	var out []told
	for i := range 2 + rnd.IntN(14) {
		day := first + rnd.Int64N(days)
		after := []time.Duration{0, time.Millisecond, 12 * time.Hour, 24*time.Hour - time.Millisecond, time.Duration(rnd.Int64N(86_400_000)) * time.Millisecond}[rnd.IntN(5)]
		f := fact(owners[rnd.IntN(len(owners))], fmt.Sprint("f", i), day, after, 0, rnd.Int64N(5)-2)
		f.Bytes = new(big.Int).Mul(big.NewInt(rnd.Int64N(1<<60)>>rnd.IntN(60)), big.NewInt(rnd.Int64N(9)-3))
		tell := told{Fact: f}
		for range 1 + rnd.IntN(2) {
			late := []int64{-200_000, 0, 0, 3 * 3_600_000, 26 * 3_600_000, 50 * 3_600_000}[rnd.IntN(6)]
			tell.comes = append(tell.comes, f.At+late)
		}
		out = append(out, tell)
	}
	return out
}

// However facts come, closed days with their adjustments are what all facts come to, and what a day
// was closed with never changes: it is what the facts that were there then come to.
func TestAnyHistory(t *testing.T) {
	db := openDB(t)
	n, before := 0, 0
	if os.Getenv("SEED") != "" {
		_, err := fmt.Sscan(os.Getenv("SEED"), &before)
		must(t, err)
	}
	for seed := before; seed < max(rounds(400), before+1); seed++ {
		shard := seed % 32
		if seed > before && shard == 0 {
			db = openDB(t)
		}
		n += anyHistory(t, db, seed, 2*shard)
		if t.Failed() {
			t.Fatalf("SEED=%d", seed)
		}
	}
	if n == 0 {
		t.Error("there were no adjustments")
	}
}

// anyHistory returns how many adjustments there were.
func anyHistory(t *testing.T, db *scylla.DB, seed, shard int) int {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(seed), 7))
	w := newWorld(t, db, shard, shard+1)
	owners := []string{w.owner(0, "alice"), w.owner(0, "bob"), w.owner(1, "carol")}
	const days = 5
	all := history(rnd, owners, days)
	closers := []*Closer{w.closer(), w.closer()}
	var there []claim.Fact
	closed := make(map[string]string) // what days were closed with
	look := func(day int64) {
		for _, owner := range owners {
			for _, d := range w.days(owner, first, day) {
				key := fmt.Sprint(owner, " ", d.Day)
				was, ok := closed[key]
				if !ok {
					was = area(owner, d.Day, there)
				}
				if was != text(d.Closed) {
					t.Errorf("%s was closed with, or should have been\n%s\nand is\n%s", key, was, text(d.Closed))
				}
				closed[key] = was
			}
		}
	}
	for day := first; day < first+days+3; day++ {
		from := w.clock.ms.Load()
		w.clock.dueAt(day)
		var now []claim.Fact
		for _, f := range all {
			for _, at := range f.comes {
				if from <= max(at, first*usage.DayMS) && max(at, first*usage.DayMS) < w.clock.ms.Load() {
					now = append(now, f.Fact)
				}
			}
		}
		rnd.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		for len(now) > 0 {
			k := 1 + rnd.IntN(len(now))
			w.put(now[:k]...)
			there = append(there, now[:k]...)
			now = now[k:]
			if rnd.IntN(3) == 0 {
				w.pass(closers[rnd.IntN(2)]) // with a part of it
				look(day)
			}
		}
		switch rnd.IntN(4) {
		case 0:
			var both sync.WaitGroup
			for _, c := range closers {
				both.Go(func() {
					if err := c.Pass(t.Context()); err != nil && !errors.Is(err, ledger.ErrFenced) {
						t.Error(err)
					}
				})
			}
			both.Wait()
		case 1: // nobody is there to close it
			if day < first+days+1 {
				continue
			}
			fallthrough
		default:
			w.pass(closers[rnd.IntN(2)])
		}
		look(day)
	}
	w.pass(closers[0])
	return w.check(there, first+days+2, owners...)
}
