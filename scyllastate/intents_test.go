package scyllastate

import (
	"maps"
	"testing"

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
