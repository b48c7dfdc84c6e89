package sli

import (
	"fmt"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// BenchmarkHolder is what a pin costs at a holder, from when it is seen until it is pinned,
// while as many as are given wait for their deadlines.
func BenchmarkHolder(b *testing.B) {
	for _, trace := range []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"} {
		for _, waiting := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("waiting=%d/traced=%t", waiting, trace != ""), func(b *testing.B) {
				h := NewHolder(HolderOptions{Metrics: NewMetrics()})
				rev := revOf(time.Now())
				for i := range waiting {
					h.Seen(statetest.Cid(fmt.Sprint("waiting ", i)), rev, "")
				}
				cids := make([]api.Cid, 1<<12)
				for i := range cids {
					cids[i] = statetest.Cid(fmt.Sprint(i))
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					c, rev := cids[i%len(cids)], rev
					rev[15], rev[14], rev[13] = byte(i>>12), byte(i>>20), byte(i>>28) // another one, of the same time
					h.Seen(c, rev, trace)
					h.Seen(c, rev, trace) // as the tracker does
					h.Asked(c, rev)
					h.Doubtful(c)
					h.Pinned(c, rev)
				}
			})
		}
	}
}

// BenchmarkAcceptor is what a pin costs where it is accepted.
func BenchmarkAcceptor(b *testing.B) {
	view := membership.View{Self: statetest.Peer("self")}
	a := NewAcceptor(AcceptorOptions{Metrics: NewMetrics(), View: func() membership.View { return view }})
	pin := api.PinCid(statetest.Cid("a"))
	pin.ReplicationFactorMin, pin.ReplicationFactorMax = 2, 2
	pin.Allocations = []peer.ID{statetest.Peer("b"), statetest.Peer("c")}
	rev := revOf(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		a.Accepted(pin, rev)
		if a.first.len() > 1000 {
			a.mu.Lock()
			a.first.drop()
			a.mu.Unlock()
		}
	}
}

// BenchmarkNoteRevision is what it costs that a store notes the revision of a write.
func BenchmarkNoteRevision(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var rev state.Revision
		state.NoteRevision(state.WithRevision(b.Context(), &rev), state.Revision{1})
	}
}
