package sli

import (
	"fmt"
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
