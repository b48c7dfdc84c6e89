package status

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// TestPeersThatFail: the pins of a peer that does not answer, or not to its end, are
// listed as errors, all of them. If they cannot be found the listing fails.
func TestPeersThatFail(t *testing.T) {
	for name, fault := range map[string]struct {
		set  func(*world)
		dead bool
	}{
		"its list breaks":      {func(w *world) { w.nodes[1].cut = 280 }, false},
		"its list breaks soon": {func(w *world) { w.nodes[1].cut = 1 }, false},
		"it is dead":           {func(w *world) { w.member(1, dies) }, true},
		"it is gone":           {func(w *world) { _ = w.nodes[1].host.Close() }, false},
		"it may not be asked":  {func(w *world) { w.nodes[1].closed = true }, false},
		"it dies meanwhile": {func(w *world) {
			w.nodes[1].silent = true
			time.AfterFunc(100*time.Millisecond, func() { w.member(1, dies) })
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.many(600)
			fault.set(w)
			all, err := w.list(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			w.check(all, func(holder int) api.TrackerStatus {
				if holder == 1 {
					return api.TrackerStatusPinned | api.TrackerStatusClusterError
				}
				return api.TrackerStatusPinned
			})
			if all, err = w.list(t.Context(), api.TrackerStatusClusterError); err != nil || len(all) == 0 {
				t.Errorf("the errors: %d, %v", len(all), err)
			}
			// What a live peer does not tell must not look as if it were not there.
			if all, err = w.list(t.Context(), api.TrackerStatusPinned); (err == nil) != fault.dead {
				t.Errorf("what is pinned: %d, %v", len(all), err)
			}
			w.pins.setDown(true)
			if all, err = w.list(t.Context(), api.TrackerStatusPinned|api.TrackerStatusClusterError); err == nil {
				t.Errorf("%d are listed while the database is down, too", len(all))
			}
		})
	}
}

// TestNoOrder: a peer of another build fails the listing, as nobody knows what it has
// left out.
func TestNoOrder(t *testing.T) {
	w := newWorld(t, 3)
	w.many(600)
	w.nodes[1].mixed = true
	if all, err := w.list(t.Context(), 0); err == nil || !strings.Contains(err.Error(), errOrder.Error()) {
		t.Errorf("%d are listed, %v", len(all), err)
	}
}

// TestReaderLeaves: nothing goes on for a reader who has left.
func TestReaderLeaves(t *testing.T) {
	w := newWorld(t, 3)
	w.many(3000)
	ctx, leave := context.WithCancel(t.Context())
	in, out := make(chan api.TrackerStatus, 1), make(chan api.GlobalPinInfo)
	in <- 0
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- w.client.Stream(ctx, "", "Cluster", "StatusAll", in, out) }()
	for range 10 {
		<-out
	}
	leave()
	for range out { // until it is closed
	}
	if err := <-listed; err == nil {
		t.Error("the listing succeeds")
	}
} // and TestMain looks for what goes on
