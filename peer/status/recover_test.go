package status

import (
	"maps"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// recoverAll has every peer recover, and returns what is said of each pin, by its name.
func (w *world) recoverAll() (map[string]map[int]api.TrackerStatus, error) {
	in, out := make(chan struct{}), make(chan api.GlobalPinInfo)
	close(in)
	recovered := make(chan error, 1)
	go func() { recovered <- w.client.Stream(w.t.Context(), "", "Cluster", "RecoverAll", in, out) }()
	got := make(map[string]map[int]api.TrackerStatus)
	for all := range out {
		if got[all.Name] != nil {
			w.t.Errorf("%q is there twice", all.Name)
		}
		got[all.Name] = w.byPeer(all)
	}
	return got, <-recovered
}

// TestRecoverAll: what several peers queue is one entry of each pin. Of a peer that is
// dead, or fails, all is listed; of one whose queue is full only what it has queued, and
// all that the others have.
func TestRecoverAll(t *testing.T) {
	const queued, failed = api.TrackerStatusPinQueued, api.TrackerStatusClusterError
	type said = map[int]api.TrackerStatus
	for name, tt := range map[string]struct {
		set  func(*world, *node) // peer 1, too
		want map[string]said
	}{
		"all are well": {func(*world, *node) {}, map[string]said{"a": {0: queued, 1: queued}, "b": {1: queued}, "c": {2: queued}, "d": {1: queued}}},
		"one is dead": {func(w *world, _ *node) { w.member(1, dies) },
			map[string]said{"a": {0: queued, 1: failed}, "b": {1: failed}, "c": {1: failed, 2: queued}, "d": {1: failed}}},
		"one fails": {func(w *world, n *node) { n.broken = true },
			map[string]said{"a": {0: queued, 1: failed}, "b": {1: failed}, "c": {1: failed, 2: queued}, "d": {1: failed}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.pin("a", 0, 1)
			w.pin("b", 1, 2)
			w.pin("c", 2, 1)
			w.pin("d", 0, 1)
			w.loses(0, "a")
			w.loses(1, "a", "b", "d")
			w.loses(2, "c")
			tt.set(w, w.nodes[1])
			got, err := w.recoverAll()
			if err != nil || !maps.EqualFunc(got, tt.want, maps.Equal[said, said]) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// TestRecoverAllIntoFullQueue: a peer whose queue is full fails the call, after all that
// the others have queued. Nothing is said of the pins that it has not come to; what it
// has queued is there unless gorpc dropped it when the method returned the error.
func TestRecoverAllIntoFullQueue(t *testing.T) {
	w := newWorld(t, 3)
	labels := []string{"a", "b", "c", "d", "e"}
	for _, label := range labels {
		w.pin(label, 0, 1)
	}
	w.loses(0, labels...)
	w.loses(1, labels...)
	w.nodes[1].set(func() { w.nodes[1].full = true })
	got, err := w.recoverAll()
	if err == nil || !strings.Contains(err.Error(), tracker.ErrFullQueue.Error()) || !strings.Contains(err.Error(), w.id(1).String()) {
		t.Errorf("the error is %v", err)
	}
	first := labels[0]
	for _, label := range labels {
		if state.PlaceOf(statetest.Cid(label)).Compare(state.PlaceOf(statetest.Cid(first))) < 0 {
			first = label
		}
	}
	for _, label := range labels {
		want := map[int]api.TrackerStatus{0: api.TrackerStatusPinQueued}
		if _, arrived := got[label][1]; arrived && label == first {
			want[1] = api.TrackerStatusPinQueued
		}
		if !maps.Equal(got[label], want) {
			t.Errorf("%s: %v, want %v", label, got[label], want)
		}
	}
}
