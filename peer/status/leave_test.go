package status

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// TestAskerLeaves: who leaves before the peers have answered gets an error and no answer,
// and nothing is said of the peers, not in the log either.
func TestAskerLeaves(t *testing.T) {
	w := newWorld(t, 3)
	pin := w.pin("a", 0, 1)
	said := logtest.During(t, logging.LevelError, func() {
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if got, err := w.service.one(ctx, "Status", pin.Cid); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", w.byPeer(got), err)
		}
	})
	if strings.Contains(said, pin.Cid.String()) {
		t.Errorf("logged: %s", said)
	}
}

// TestRemovedWhileAsked: a peer that is removed while it is asked is one that is not in
// the cluster, not one that is silent.
func TestRemovedWhileAsked(t *testing.T) {
	for what, leave := range map[string]func(*world){
		"removed":     func(w *world) { w.member(1, func(p *membership.Peer) { p.Removed = true }) },
		"not in view": func(w *world) { w.forget(1) },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, 2)
			pin := w.pin("a", 0, 1)
			w.nodes[1].set(func() { w.nodes[1].silent = true })
			time.AfterFunc(100*time.Millisecond, func() { leave(w) })
			var all api.GlobalPinInfo
			if err := w.client.CallContext(t.Context(), "", "Cluster", "Status", pin.Cid, &all); err != nil {
				t.Fatal(err)
			}
			info := all.PeerMap[w.id(1).String()]
			if info.Status != api.TrackerStatusClusterError || !strings.Contains(info.Error, errNotMember) || strings.Contains(info.Error, errSilent) || !Absent(info) {
				t.Errorf("%s: %s", info.Status, info.Error)
			}
		})
	}
}

// forget takes a peer out of what is known of the cluster.
func (w *world) forget(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.view.Peers = slices.DeleteFunc(slices.Clone(w.view.Peers), func(p membership.Peer) bool { return p.ID == w.id(i) })
}
