package status

import (
	"context"
	"fmt"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// TestDiesBehindSlowReader: of a peer that is found dead while an entry of its list waits
// for the reader, all pins are listed, that one, too.
func TestDiesBehindSlowReader(t *testing.T) {
	const pins = 600
	w := newWorld(t, 2)
	for i := range pins {
		w.pin(fmt.Sprint(i), 1)
	}
	listsInPlace := make(chan struct{})
	w.pins.owning = func() { close(listsInPlace) }
	member, _ := w.service.opts.View().Get(w.id(1))
	src := &source{peer: member, infos: make(chan placed)}
	go src.read(t.Context(), w.service.entries(), 0, func(ctx context.Context, _ membership.Peer, infos chan<- api.PinInfo) error {
		defer close(infos)
		for _, c := range w.pins.ordered() {
			select {
			case infos <- w.nodes[1].info(w.pins.pins[c]):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	listed := map[api.Cid]int{(<-src.infos).Cid: 1}
	w.member(1, dies)
	<-listsInPlace // the next entry was not taken
	for info := range src.infos {
		listed[info.Cid]++
	}
	if src.err != nil || len(listed) != pins {
		t.Errorf("%d of %d pins are listed, %v", len(listed), pins, src.err)
	}
	for c, n := range listed {
		if n != 1 {
			t.Errorf("%s is listed %d times", c, n)
		}
	}
}
