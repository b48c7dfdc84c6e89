package sli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, NewMetrics(), "ipfscluster_", map[string][]string{
		"result": {"good", "late", "cancelled", "failed"}, "content": {"available", "no_providers"},
		"phase": {"noticed", "queued", "fetching"}, "what": {"accepted", "late"},
	})
	var none *Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
	NewHolder(HolderOptions{}).Seen(statetest.Cid("a"), revOf(time.Now()), "")
	NewHolder(HolderOptions{}).Run(t.Context())
	NewAcceptor(AcceptorOptions{}).Accepted(api.Pin{}, revOf(time.Now()))
	NewAcceptor(AcceptorOptions{}).Run(t.Context())
}

func TestAcceptedAt(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 123456700, time.UTC)
	if got, ok := acceptedAt(revOf(at)); !ok || !got.Equal(at) {
		t.Errorf("the revision of %s is of %s (%t)", at, got, ok)
	}
	for _, old := range []state.Revision{{}, revOf(time.Date(1997, 1, 1, 0, 0, 0, 0, time.UTC))} {
		if at, ok := acceptedAt(old); ok {
			t.Errorf("%x was accepted at %s, and by nobody", old, at)
		}
	}
}

// TestLateAtTheDeadline: a pin that hangs is late when its time is over and not before, once,
// and is not good when it ends.
func TestLateAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		c, rev := r.accepted("a", 2*time.Second)
		r.Seen(c, rev, "")
		r.Asked(c, rev)
		time.Sleep(58*time.Second - time.Millisecond)
		synctest.Wait()
		r.want(t, "before the deadline", nil)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		r.want(t, "at the deadline", one(late, available))
		r.Seen(c, rev, "")
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		r.Found(c, rev)
		r.want(t, "later", nil)
		if n, age := r.pending(time.Now()); n != 1 || age != 10*time.Minute {
			t.Errorf("%d are pending, the oldest for %s", n, age)
		}
		r.Pinned(c, rev)
		r.want(t, "at its end", nil)
		if sum := r.value(t, "ipfscluster_pin_latency_seconds_sum"); sum != 600 {
			t.Errorf("it took %v s, and it was 600", sum)
		}
		if n, age := r.pending(time.Now()); n != 0 || age != 0 {
			t.Errorf("%d are pending, the oldest for %s", n, age)
		}
	})
}

// TestGoodBeforeTheDeadline: what ends in time is good, to the last moment, once, however
// often the feed tells of it.
func TestGoodBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		c, rev := r.accepted("a", 0)
		r.Seen(c, rev, "")
		time.Sleep(59900 * time.Millisecond)
		r.Pinned(c, rev)
		r.want(t, "at 59.9 s", one(good, available))
		r.Seen(c, rev, "")
		r.Found(c, rev)
		r.Pinned(c, rev)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.want(t, "told again", nil)
		r.edit(func() {
			if r.reads != 0 {
				t.Errorf("rows were read %d times", r.reads)
			}
		})
	})
}

// TestEndedIsRemembered: what has ended is not begun again before its deadline, whatever has
// ended since.
func TestEndedIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		c, of := r.accepted("the first of all", 0)
		r.Seen(c, of, "")
		r.Pinned(c, of)
		time.Sleep(30 * time.Second)
		first, rev := r.accepted("first", 0)
		r.Seen(first, rev, "")
		r.Pinned(first, rev)
		for i := range 58 {
			time.Sleep(time.Second)
			c, of := r.accepted(fmt.Sprint(i), 0)
			r.Seen(c, of, "")
			r.Pinned(c, of)
		}
		r.want(t, "sixty pins", map[string]float64{eventSeries(good, available): 60})
		r.Seen(first, rev, "")
		if n, _ := r.pending(time.Now()); n != 0 {
			t.Error("what has ended has begun again")
		}
		time.Sleep(10 * time.Minute)
		c, of = r.accepted("another", 0)
		r.Seen(c, of, "")
		r.Pinned(c, of)
		time.Sleep(10 * time.Minute)
		c, of = r.accepted("one more", 0)
		r.Seen(c, of, "")
		r.Pinned(c, of)
		if n := len(r.ended.now) + len(r.ended.before); n > 2 {
			t.Errorf("%d are remembered for ever", n)
		}
	})
}

// TestCancelled: what is unpinned, given to others or replaced in time is cancelled; after
// its time it is late, and stays that.
func TestCancelled(t *testing.T) {
	for name, end := range map[string]func(r *holderRig, c api.Cid, accepted time.Time){
		"unpinned":  func(r *holderRig, c api.Cid, _ time.Time) { r.Gone(c, revOf(time.Now())) },
		"forgotten": func(r *holderRig, c api.Cid, _ time.Time) { r.Gone(c, state.Revision{}) },
		"replaced": func(r *holderRig, c api.Cid, _ time.Time) {
			rev := revOf(time.Now())
			r.Seen(c, rev, "")
			r.Gone(c, revOf(time.Now().Add(-time.Second))) // of the pin before
			r.Pinned(c, rev)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHolderRig(t)
				c, rev := r.accepted("a", 0)
				r.Seen(c, rev, "")
				time.Sleep(30 * time.Second)
				end(r, c, time.Now())
				want := one(cancelled, available)
				if name == "replaced" {
					want[eventSeries(good, available)] = 1
				}
				r.want(t, "in time", want)
				r.Seen(c, rev, "") // what was before comes again
				r.Pinned(c, rev)
				time.Sleep(time.Hour)
				synctest.Wait()
				r.want(t, "after that", nil)

				c, rev = r.accepted("b", 0)
				r.Seen(c, rev, "")
				time.Sleep(61 * time.Second)
				synctest.Wait()
				r.want(t, "late", one(late, available))
				end(r, c, time.Now())
				delete(want, eventSeries(cancelled, available))
				r.want(t, "after its time", want)
				if n, _ := r.pending(time.Now()); n != 0 {
					t.Errorf("%d are pending", n)
				}
			})
		})
	}
}

// TestAMomentAfterTheDeadline: what is told before the Holder has counted that the time of a pin is
// over is late all the same.
func TestAMomentAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		r.stop()
		for _, end := range []func(api.Cid, state.Revision){
			r.Pinned,
			func(c api.Cid, _ state.Revision) { r.Gone(c, state.Revision{}) },
			func(c api.Cid, _ state.Revision) { r.Found(c, revOf(time.Now())) },
		} {
			c, rev := r.accepted("a", 0)
			r.Seen(c, rev, "")
			time.Sleep(Deadline + time.Millisecond)
			end(c, rev)
			r.want(t, "without Run", one(late, available))
		}
	})
}

// TestAnOlderRevision: what is found or told late of before changes nothing.
func TestAnOlderRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		c, rev := r.accepted("a", 0)
		r.Seen(c, rev, "")
		older := revOf(time.Now().Add(-time.Second))
		r.Found(c, older)
		r.Asked(c, older)
		r.Pinned(c, older)
		r.Gone(c, older)
		r.want(t, "the older one", nil)
		r.Pinned(c, rev)
		r.want(t, "the newer one", one(good, available))
	})
}

// TestRestart: what a process finds unfinished is late at once if its time is over, unless
// the row says that it was counted or has ended; what is in time goes on.
func TestRestart(t *testing.T) {
	type row = state.Placement
	for _, tt := range []struct {
		name   string
		row    *row
		ago    time.Duration
		wrote  time.Duration // the row, so long after the acceptance
		found  bool
		missed bool
		other  bool // the row is of an earlier revision
		want   map[string]float64
	}{
		{name: "its time has passed meanwhile", row: &row{Status: state.PlacementQueued}, ago: 2 * time.Minute, wrote: 5 * time.Second, want: one(late, available)},
		{name: "found by a scan", row: &row{Status: state.PlacementQueued}, ago: 2 * time.Minute, wrote: 5 * time.Second, found: true, want: one(late, available)},
		{name: "no row", ago: 2 * time.Minute, want: one(late, available)},
		{name: "a row of before", row: &row{Status: state.PlacementPinned}, other: true, ago: 2 * time.Minute, want: one(late, available)},
		{name: "it has ended", row: &row{Status: state.PlacementPinned}, ago: 2 * time.Minute, wrote: 5 * time.Second},
		{name: "it was lost", row: &row{Status: state.PlacementPinned}, ago: time.Hour, wrote: 5 * time.Second, found: true},
		{name: "an earlier process has counted", row: &row{Status: state.PlacementPinError}, ago: time.Hour, wrote: 2 * time.Minute, found: true},
		{name: "nobody provides it", row: &row{Status: state.PlacementPinError, Error: "pin: block was not found locally (offline)"}, ago: time.Hour, wrote: 50 * time.Second, want: one(late, noProviders)},
		{name: "a new peer finds what is old", found: true, missed: true, ago: time.Hour},
		{name: "an old peer finds it", found: true, ago: time.Hour, want: one(late, available)},
		{name: "its time is not over", row: &row{Status: state.PlacementQueued}, ago: 30 * time.Second, wrote: 5 * time.Second},
	} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read early %t", tt.name, early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newHolderRig(t, func(o *HolderOptions) { o.Missed = tt.missed })
					c, rev := r.accepted("a", tt.ago)
					if tt.row != nil {
						stored := *tt.row
						stored.Cid, stored.Rev, stored.Updated = c, rev, time.Now().Add(tt.wrote-tt.ago)
						if tt.other {
							stored.Rev = revOf(time.Now().Add(-time.Hour))
						}
						r.rows[c] = stored
					}
					if tt.found {
						r.Found(c, rev)
					} else {
						r.Seen(c, rev, "")
					}
					if early && r.Doubtful(c) {
						stored, there := r.rows[c]
						r.Read(c, stored, there)
						r.edit(func() {
							r.rows[c] = state.Placement{Cid: c, Rev: rev, Status: state.PlacementQueued, Updated: time.Now()}
						})
					}
					time.Sleep(5 * time.Second)
					synctest.Wait()
					r.want(t, "after the start", tt.want)
					if r.Doubtful(c) {
						t.Error("there is still a doubt")
					}
					if !tt.missed { // else it is told now only, and was not done
						r.Seen(c, rev, "")
					}
					r.Found(c, rev)
					time.Sleep(5 * time.Second)
					r.Pinned(c, rev)
					if tt.ago < Deadline {
						r.want(t, "in time", one(good, available))
						return
					}
					synctest.Wait()
					r.want(t, "at its end", nil)
				})
			})
		}
	}
}

// TestDoubtWaitsForTheDatabase: what cannot be read is counted when it can.
func TestDoubtWaitsForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		r.edit(func() { r.down = true })
		for i := range 3 {
			c, rev := r.accepted(fmt.Sprint(i), time.Hour)
			r.Seen(c, rev, "")
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.want(t, "without the database", nil)
		r.edit(func() { r.down = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		r.want(t, "with it", map[string]float64{eventSeries(late, available): 3})
	})
}

// TestContent: late content that nobody provides is counted apart, if IPFS says so or has
// found nothing of it for long.
func TestContent(t *testing.T) {
	canceled := fmt.Errorf("Post pin/add: %w", context.Canceled)
	for _, tt := range []struct {
		name    string
		asked   time.Duration // after the acceptance, 0 for never
		failed  error
		lacks   bool
		answers time.Duration
		at      time.Duration // when it is counted
		want    content
	}{
		{name: "nothing was found", asked: time.Second, lacks: true, want: noProviders},
		{name: "some was found", asked: time.Second, want: available},
		{name: "never asked", lacks: true, want: available},
		{name: "asked lately", asked: 50 * time.Second, lacks: true, want: available},
		{name: "it failed", asked: time.Second, failed: errors.New("the disk is full"), want: available},
		{name: "it failed as nobody has it", asked: time.Second, failed: errors.New("ipld: could not find bafy"), want: noProviders},
		{name: "no progress", asked: time.Second, failed: canceled, want: noProviders},
		{name: "IPFS hangs", asked: time.Second, lacks: true, answers: time.Hour, at: answerIn, want: available},
		{name: "IPFS is slow", asked: time.Second, lacks: true, answers: time.Second, at: time.Second, want: noProviders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHolderRig(t, func(o *HolderOptions) {
					o.Lacks = func(ctx context.Context, _ api.Cid) bool {
						select {
						case <-time.After(tt.answers):
						case <-ctx.Done():
						}
						return tt.lacks
					}
				})
				c, rev := r.accepted("a", 0)
				r.Seen(c, rev, "")
				if tt.asked > 0 {
					time.Sleep(tt.asked)
					r.Asked(c, rev)
				}
				if tt.failed != nil {
					r.Failed(c, rev, tt.failed)
				}
				time.Sleep(Deadline - tt.asked)
				synctest.Wait()
				if tt.at > 0 {
					r.want(t, "at the deadline", nil)
					time.Sleep(tt.at + time.Millisecond)
					synctest.Wait()
				}
				r.want(t, "late", one(late, tt.want))
			})
		})
	}
}

// TestHangingIPFSHoldsUpNothing: however many pins are late while IPFS does not answer, all
// are counted within five seconds of their deadlines.
func TestHangingIPFSHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t, func(o *HolderOptions) {
			o.Lacks = func(ctx context.Context, _ api.Cid) bool {
				<-ctx.Done()
				return true
			}
		})
		for i := range 1000 {
			c, rev := r.accepted(fmt.Sprint(i), 0)
			r.Seen(c, rev, "")
			r.Asked(c, rev)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(Deadline + 4*time.Second)
		synctest.Wait()
		r.want(t, "at 65 s", map[string]float64{eventSeries(late, available): 1000})
	})
}

// TestPhases: each part of the way is observed when it ends, by the clock of this peer, and
// none is below 0.
func TestPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		phases := func(what string, noticed, queued, fetching float64) {
			t.Helper()
			for name, want := range map[string]float64{"noticed": noticed, "queued": queued, "fetching": fetching} {
				if got := r.value(t, `ipfscluster_pin_phase_seconds_sum{phase="`+name+`"}`); got != want {
					t.Errorf("%s: %s is %v s, want %v", what, name, got, want)
				}
			}
		}
		c, rev := r.accepted("a", 3*time.Second)
		r.Seen(c, rev, "")
		phases("seen", 3, 0, 0)
		time.Sleep(5 * time.Second)
		r.Asked(c, rev)
		phases("asked", 3, 5, 0)
		r.Asked(c, rev) // again, after a failure
		time.Sleep(7 * time.Second)
		r.Pinned(c, rev)
		phases("pinned", 3, 5, 7)
		if sum := r.value(t, "ipfscluster_pin_latency_seconds_sum"); sum != 15 {
			t.Errorf("it took %v s, and it was 15", sum)
		}
		if n := r.value(t, "ipfscluster_pin_clock_negative_total"); n != 0 {
			t.Errorf("%v times were below 0", n)
		}
		c, rev = r.accepted("b", -2*time.Second) // in two seconds
		r.Seen(c, rev, "")
		r.Asked(c, rev)
		r.Pinned(c, rev)
		phases("before it was accepted", 3, 5, 7)
		if n := r.value(t, "ipfscluster_pin_clock_negative_total"); n != 1 {
			t.Errorf("%v times were below 0, and one was", n)
		}
		r.want(t, "both", map[string]float64{eventSeries(good, available): 2})
	})
}

// TestLateIsBounded: what does not fit is counted as late all the same, and as forgotten.
func TestLateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		const more = 10
		for i := range maxLate + more {
			c, rev := r.accepted(fmt.Sprint(i), 0)
			r.Seen(c, rev, "")
		}
		time.Sleep(Deadline)
		synctest.Wait()
		r.want(t, "all", map[string]float64{eventSeries(late, available): maxLate + more})
		if n := r.value(t, `ipfscluster_pin_slo_forgotten_total{what="late"}`); n != more {
			t.Errorf("%v were forgotten, want %d", n, more)
		}
		if n, _ := r.pending(time.Now()); n != maxLate || len(r.pins) != maxLate {
			t.Errorf("%d are pending, and %d remembered", n, len(r.pins))
		}
	})
}

// TestNoEventIsCountedTwice: whatever is told at the same time as a deadline passes, each
// event comes to one result.
func TestNoEventIsCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		const n = 2000
		var telling sync.WaitGroup
		for i := range n {
			c, rev := r.accepted(fmt.Sprint(i), 0)
			telling.Go(func() {
				r.Seen(c, rev, "")
				r.Seen(c, rev, "")
				time.Sleep(Deadline) // no sooner and no later than the Holder
				switch i % 3 {
				case 0:
					r.edit(func() { r.rows[c] = state.Placement{Cid: c, Rev: rev, Status: state.PlacementPinned} })
					r.Pinned(c, rev)
				case 1:
					r.Gone(c, state.Revision{})
					return
				}
				r.Seen(c, rev, "")
			})
		}
		telling.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		sum := 0.0
		values := metrictest.Values(t, r.m)
		for res := range results {
			for class := range contents {
				sum += values[eventSeries(res, class)]
			}
		}
		if sum != n {
			t.Errorf("%v results of %d events", sum, n)
		}
	})
}

// TestImportedPins: what a migration has written was accepted by nobody.
func TestImportedPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHolderRig(t)
		c := statetest.Cid("a")
		rev := revOf(time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC))
		r.Found(c, rev)
		r.Asked(c, rev)
		r.Pinned(c, rev)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.want(t, "imported", nil)
		if n := r.value(t, "ipfscluster_pin_latency_seconds_count"); n != 0 {
			t.Error("its latency was observed")
		}
	})
}

// TestExemplars: what is late, and how long a pin took, have the trace of the write as their
// example, if there is one.
func TestExemplars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		r := newHolderRig(t)
		for _, traceparent := range []string{"", "00-" + trace + "-00f067aa0ba902b7-01", "00-short-01", "01-" + trace + "-00f067aa0ba902b7-01"} {
			c, rev := r.accepted("a"+traceparent, 0)
			r.Seen(c, rev, traceparent)
			time.Sleep(Deadline)
			synctest.Wait()
			r.want(t, "late", one(late, available))
			r.Pinned(c, rev)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(r.m)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		examples := 0
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				all := []*dto.Exemplar{metric.GetCounter().GetExemplar()}
				for _, bucket := range metric.GetHistogram().GetBucket() {
					all = append(all, bucket.GetExemplar())
				}
				for _, e := range all {
					if e == nil {
						continue
					}
					examples++
					if e.GetLabel()[0].GetValue() != trace {
						t.Errorf("the example of %s is %v", family.GetName(), e)
					}
				}
			}
		}
		if examples != 2 {
			t.Errorf("%d examples, want one of the counter and one of the histogram", examples)
		}
	})
}
