package status

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestOne: the answer about one CID.
func TestOne(t *testing.T) {
	const (
		pinned, remote, failed = api.TrackerStatusPinned, api.TrackerStatusRemote, api.TrackerStatusClusterError
	)
	all := func(s api.TrackerStatus) map[int]api.TrackerStatus {
		return map[int]api.TrackerStatus{0: s, 1: s, 2: s}
	}
	for name, tt := range map[string]struct {
		set   func(*world) // of "a"
		want  map[int]api.TrackerStatus
		asked int
		fails bool
	}{
		"not pinned":           {func(*world) {}, all(api.TrackerStatusUnpinned), 0, false},
		"on two of three":      {func(w *world) { w.pin("a", 0, 2) }, map[int]api.TrackerStatus{0: pinned, 1: remote, 2: pinned}, 2, false},
		"everywhere":           {func(w *world) { w.pin("a") }, all(pinned), 3, false},
		"everywhere, one dead": {func(w *world) { w.pin("a"); w.member(1, dies) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: pinned}, 2, false},
		"one dead":             {func(w *world) { w.pin("a", 0, 1); w.member(1, dies) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 1, false},
		"one does not answer as it dies": {func(w *world) {
			w.pin("a", 0, 1)
			w.nodes[1].set(func() { w.nodes[1].silent = true })
			time.AfterFunc(100*time.Millisecond, func() { w.member(1, dies) })
		}, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 2, false},
		"one fails":               {func(w *world) { w.pin("a", 0, 1); w.nodes[1].fails = errors.New("it broke") }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 2, false},
		"one removed":             {func(w *world) { w.pin("a", 0, 1); w.member(1, func(p *membership.Peer) { p.Removed = true }) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 1, false},
		"a peer without a daemon": {func(w *world) { w.pin("a"); w.member(1, func(p *membership.Peer) { p.Role = membership.RoleAPI }) }, map[int]api.TrackerStatus{0: pinned, 1: remote, 2: pinned}, 2, false},
		"meta": {func(w *world) {
			pin := w.pin("a")
			pin.Type = api.MetaType
			w.pins.pins[pin.Cid] = pin
		}, all(api.TrackerStatusSharded), 0, false},
		"corrupt":       {func(w *world) { w.pin("a", 0); w.pins.bad[statetest.Cid("a")] = true }, map[int]api.TrackerStatus{0: failed}, 0, false},
		"database down": {func(w *world) { w.pin("a", 0); w.pins.down = true }, nil, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			tt.set(w)
			got, err := w.status(statetest.Cid("a"))
			if (err != nil) != tt.fails || !tt.fails && !maps.Equal(got, tt.want) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
			asked := 0
			for _, n := range w.nodes {
				n.set(func() { asked += n.asked })
			}
			if asked != tt.asked {
				t.Errorf("%d peers were asked, want %d", asked, tt.asked)
			}
		})
	}
}
