package scyllastate

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var errBusy = errors.New("busy")

func testPace() *pace { return paceOn(func() int { return 1 }) }

func paceOn(shards func() int) *pace {
	return newPace(func(d time.Duration) time.Duration { return d }, shards, func(context.Context) error { return nil })
}

// TestPaceOfShards: a larger database gets more requests at once, also when its
// nodes come later, and never more than fit into memory.
func TestPaceOfShards(t *testing.T) {
	for _, test := range []struct{ shards, want int }{
		{1, 256}, {3, 256}, {8, 256}, {9, 288}, {3 * 14, 1344}, {3 * 32, 2048}, {100_000, 2048},
	} {
		shards := test.shards
		p := paceOn(func() int { return shards })
		for _, step := range []struct {
			when         string
			shards, want int
		}{
			{"in the beginning", test.shards, test.want / 2},
			{"after a while", test.shards, test.want},
			{"when only one is left", 1, smallUnderWay},
			{"when all are back", test.shards, test.want},
		} {
			shards = step.shards
			if step.when != "in the beginning" {
				for range 2 * paceSteps {
					p.adapt(paceRound, false)
				}
			}
			if p.underWay != step.want {
				t.Errorf("on %d shards, %s: %d requests are under way, want %d", test.shards, step.when, p.underWay, step.want)
			}
		}
	}
}

// TestPaceRepeats: what fails for a while is done in the end, all of it, and
// fewer requests are under way afterwards.
func TestPaceRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPace()
		const n = 2 * paceRound
		var tries [n]atomic.Int32
		err := p.each(t.Context(), n, func(_ context.Context, i int) error {
			if tries[i].Add(1) <= 2 && i%1000 == 0 {
				return errBusy
			}
			return nil
		})
		must(t, err)
		for i := range tries {
			want := int32(1)
			if i%1000 == 0 {
				want = 3
			}
			if got := tries[i].Load(); got != want {
				t.Fatalf("request %d was made %d times, want %d", i, got, want)
			}
		}
		if p.underWay != smallUnderWay/4 {
			t.Errorf("%d requests are under way after errors", p.underWay)
		}
		for range 100 {
			must(t, p.each(t.Context(), paceRound, func(context.Context, int) error { return nil }))
		}
		if p.underWay != smallUnderWay {
			t.Errorf("%d requests are under way after 100 times without", p.underWay)
		}
	})
}

// TestPaceOfSmallWindows: large pins come in windows of few, which count together.
func TestPaceOfSmallWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPace()
		const n = 100
		for round := range 3 * paceRound / n {
			failed := false
			must(t, p.each(t.Context(), n, func(_ context.Context, i int) error {
				if round == 1 && i == 0 && !failed {
					failed = true
					return errBusy
				}
				return nil
			}))
		}
		if want := smallUnderWay/4 + smallUnderWay/paceSteps; p.underWay != want {
			t.Errorf("%d requests are under way after one round with an error and one without, want %d", p.underWay, want)
		}
	})
}

// TestPaceNumberUnderWay: never more requests than allowed.
func TestPaceNumberUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPace()
		var now, most atomic.Int32
		must(t, p.each(t.Context(), paceRound, func(context.Context, int) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Millisecond) // simulated
			now.Add(-1)
			return nil
		}))
		if most.Load() != smallUnderWay/2 {
			t.Errorf("%d requests were under way, want %d", most.Load(), smallUnderWay/2)
		}
	})
}

// TestPaceGivesUp: an outage is waited for, but not for ever; what cannot work is
// not repeated; the caller may leave.
func TestPaceGivesUp(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		last time.Duration
		text string
	}{
		{"outage", errBusy, patience, "the database has taken no write for 5m"},
		{"mistake", &scylla.PermanentError{Text: "wrong"}, 0, "wrong"},
		{"refused", &gocql.QueryError{}, patience, ""},
		{"live", liveError(state.Live{By: "somebody"}), 0, "somebody"},
		{"taken", state.ErrMigrationTaken, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				p := testPace()
				time.Sleep(time.Hour) // simulated: between two windows nothing is asked
				began = began.Add(time.Hour)
				err := p.each(t.Context(), 100, func(context.Context, int) error { return test.err })
				took := time.Since(began)
				if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("it ends with %v", err)
				}
				if took < test.last || took > test.last+5*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := testPace().each(ctx, 100, func(context.Context, int) error { return errBusy }); err == nil || time.Since(began) > time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestPaceOutageThatPasses: one that is shorter loses nothing.
func TestPaceOutageThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var done atomic.Int32
		must(t, testPace().each(t.Context(), 100, func(context.Context, int) error {
			if time.Since(began) < patience-10*time.Second {
				return errBusy
			}
			done.Add(1)
			return nil
		}))
		if done.Load() != 100 {
			t.Errorf("%d of 100 requests worked", done.Load())
		}
	})
}

// TestPaceLooksAgain: who must not go on learns it after a few thousand requests.
func TestPaceLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPace()
		var looks, made atomic.Int32
		p.check = func(context.Context) error {
			if looks.Add(1) == 3 {
				return state.ErrMigrationTaken
			}
			return nil
		}
		err := p.each(t.Context(), 10*paceRound, func(context.Context, int) error {
			time.Sleep(time.Millisecond) // simulated: nobody is a whole round ahead of the others
			made.Add(1)
			return nil
		})
		if !errors.Is(err, state.ErrMigrationTaken) || looks.Load() != 3 || made.Load() < paceRound || made.Load() > 3*paceRound {
			t.Errorf("after %d requests and %d looks: %v", made.Load(), looks.Load(), err)
		}
	})
}
