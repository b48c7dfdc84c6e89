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

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

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
