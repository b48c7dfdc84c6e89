package scyllastate

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestKindOfIntents: only who is to hold the pin is told to pin. A peer takes that as
// evidence that it may have asked its IPFS daemon, and unpins by it.
func TestKindOfIntents(t *testing.T) {
	a, b := statetest.Peer("a"), statetest.Peer("b")
	c := statetest.Cid("x")
	on := func(p api.Pin) *api.Pin { p.Cid = c; return &p }
	all, onA, onAB := on(everywherePin(c)), on(held("x", a)), on(held("x", a, b))
	everyone := everywhereFeed(c)
	direct := *onA
	direct.MaxDepth, direct.Mode = 0, api.PinModeDirect
	for name, tt := range map[string]struct {
		old, next *api.Pin
		want      map[string]int8
	}{
		"made":               {nil, onAB, map[string]int8{a.String(): kindPin, b.String(): kindPin}},
		"removed":            {onAB, nil, map[string]int8{a.String(): kindUnpin, b.String(): kindUnpin}},
		"taken from one":     {onAB, onA, map[string]int8{a.String(): kindPin, b.String(): kindUnpin}},
		"taken from all":     {all, onA, map[string]int8{a.String(): kindPin, everyone: kindUnpin}},
		"given to all":       {onA, all, map[string]int8{a.String(): kindUnpin, everyone: kindPin}},
		"made, direct":       {nil, &direct, map[string]int8{a.String(): kindLook}},
		"changed for all":    {all, all, map[string]int8{everyone: kindPin}},
		"removed everywhere": {all, nil, map[string]int8{everyone: kindUnpin}},
	} {
		w := &write{cid: c, feeds: feedsFor(tt.old, tt.next)}
		if tt.next != nil {
			w.next = &content{pin: *tt.next}
		}
		got := make(map[string]int8)
		for _, i := range newIntents(t.Context(), w) {
			got[i.Feed] = i.Kind
		}
		if !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// slowBatches are tables in which each append takes long.
type slowBatches struct {
	tables
	takes time.Duration
	last  time.Time // when one began last
}

func (s *slowBatches) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	s.last = time.Now()
	time.Sleep(s.takes)
	return nil
}

// TestAppendsWaitSoLong: rows that wait behind many others of a feed are written, or are
// refused so early that none is after the time that readers give a writer.
func TestAppendsWaitSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := production()
		slow := &slowBatches{takes: lim.writeDeadline}
		s := &Store{tables: slow, lim: lim, now: time.Now, clock: rightClock()}
		a := newAppender(s)
		feed := everywherePrefix + "0" // it needs no cursor
		begun, longest := time.Now(), lim.window()<<maxDoublings
		var written, refused atomic.Int32
		var running sync.WaitGroup
		for range 20 * maxBatchBytes / intentBytes {
			running.Go(func() {
				err := a.append(t.Context(), []intent{{Feed: feed, Cid: statetest.Cid("x").Bytes()}})
				switch took := time.Since(begun); {
				case took > longest:
					t.Errorf("it ended after %s: %v", took, err)
				case err == nil:
					written.Add(1)
				case strings.Contains(err.Error(), "has waited for"):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		running.Wait()
		if written.Load() == 0 || refused.Load() == 0 {
			t.Errorf("%d were written and %d refused", written.Load(), refused.Load())
		}
		if late := slow.last.Sub(begun); late+maxAppends*lim.writeDeadline > longest {
			t.Errorf("a batch began after %s", late)
		}
	})
}
