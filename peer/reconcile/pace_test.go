package reconcile

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestPaceLeavesNothingOut: parts that fail are tried again, parts that are slow
// make the round longer.
func TestPaceLeavesNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWorld(t, alice).reconciler(alice, func(o *Options) {
			o.ScrubEvery, o.RecheckInterval = 100*time.Minute, 10*time.Second
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := map[int]int{}
		var order []int
		tries, started := 0, time.Now()
		go r.pace(ctx, "test", 100, func(_ context.Context, part int) error {
			if part == 50 {
				tries++
				return errors.New("never works")
			}
			if part >= 20 && part < 30 && time.Since(started) < 200*time.Minute {
				time.Sleep(6 * time.Minute) // its share is one
			}
			done[part]++
			order = append(order, part)
			return nil
		})
		pass(3 * 100 * time.Minute)
		cancel()
		synctest.Wait()
		if tries%maxPieceTries != 0 || tries == 0 {
			t.Errorf("a part that fails was tried %d times", tries)
		}
		for part := range 100 {
			if n := done[part]; part != 50 && (n < 2 || n > 4) {
				t.Errorf("part %d was done %d times in three rounds", part, n)
			}
		}
		for i := 1; i < len(order); i++ {
			if next := (order[i-1] + 1) % 100; order[i] != next && next != 50 {
				t.Fatalf("part %d was left out", next)
			}
		}
	})
}

func TestPaceThatIsFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWorld(t, alice).reconciler(alice, func(o *Options) { o.ScrubEvery = 100 * time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Time
		var order []int
		slept := false
		go r.pace(ctx, "test", 100, func(_ context.Context, part int) error {
			at, order = append(at, time.Now()), append(order, part)
			if !slept {
				slept = true
				time.Sleep(530 * time.Minute)
			}
			return nil
		})
		pass(1000 * time.Minute)
		cancel()
		synctest.Wait()
		for i := 1; i < len(order); i++ {
			if order[i] != (order[i-1]+1)%100 {
				t.Fatalf("part %d came after %d", order[i], order[i-1])
			}
			if gap := at[i].Sub(at[i-1]); gap < 14*time.Second {
				t.Fatalf("part %d came %s after the one before: too fast", order[i], gap)
			}
		}
		if n := len(order); n < 460 || n > 520 {
			t.Errorf("%d parts in 470 minutes after one round at most behind", n)
		}
	})
}

func TestParts(t *testing.T) {
	for range 10000 {
		n := 1 + rand.IntN(5000)
		round := time.Duration(1 + rand.Int64N(int64(200*24*time.Hour)))
		if round < time.Duration(n)*time.Microsecond {
			continue
		}
		at := time.Unix(1e8+rand.Int64N(4e9), rand.Int64N(1e9)) // after the first round
		part := partAt(at, n, round)
		from := partStart(part, n, round)
		if at.Before(from) || !at.Before(partStart(part+1, n, round)) || partAt(from, n, round) != part || partAt(from.Add(-1), n, round) != part-1 {
			t.Fatalf("part %d of %d in %s does not begin at %s, before %s", part, n, round, from, at)
		}
	}
}
