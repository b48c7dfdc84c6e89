package statetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func modelTests() []test {
	return []test{
		{"histories", testModel},
	}
}

// testModel plays random histories against a map. They share one store, which
// is emptied before each: a new one per history would cost a database more
// than the history itself.
func testModel(t *testing.T, s Suite) {
	store := s.New(t)
	cids := modelCids(t)
	pins := pinGenerator(t, cids)
	rapid.Check(t, func(t *rapid.T) {
		rm(t, store, cids...)
		m := &model{store: store, want: make(map[api.Cid]api.Pin), cids: rapid.SampledFrom(cids), pins: pins}
		actions := map[string]func(*rapid.T){
			"add": m.add, "rm": m.rm, "get": m.get, "list": m.list, "restore": m.restore, "snapshot": m.snapshot,
		}
		names := slices.Sorted(maps.Keys(actions))
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, s.ModelSteps).Draw(t, "actions") {
			actions[name](t)
		}
		m.list(t)
	})
}

// modelCids returns few CIDs, so that histories come back to each of them, and
// similar ones.
func modelCids(t *testing.T) []api.Cid {
	t.Helper()
	all := cidsOfOneBlock(t)
	return []api.Cid{all["v0"], all["v1 of the same hash"], all["raw"], all["identity"], Cid("a"), Cid("b")}
}

// model holds what the store should hold.
type model struct {
	store state.Store
	want  map[api.Cid]api.Pin
	cids  *rapid.Generator[api.Cid]
	pins  *rapid.Generator[api.Pin]
}

func (m *model) add(t *rapid.T) {
	p := m.pins.Draw(t, "pin")
	add(t, m.store, p)
	m.want[p.Cid] = asStored(t, p)
}

func (m *model) rm(t *rapid.T) {
	c := m.cids.Draw(t, "cid")
	rm(t, m.store, c)
	delete(m.want, c)
}

func (m *model) get(t *rapid.T) {
	c := m.cids.Draw(t, "cid")
	if want, ok := m.want[c]; ok {
		wantPin(t, m.store, want)
	} else {
		wantMissing(t, m.store, c)
	}
}

func (m *model) list(t *rapid.T) {
	wantPinset(t, m.store, slices.Collect(maps.Values(m.want))...)
}

// restore loads a snapshot made by upstream on top of what is there.
func (m *model) restore(t *rapid.T) {
	source := upstream(t)
	for _, p := range rapid.SliceOfN(m.pins, 0, 3).Draw(t, "pins") {
		add(t, source, p)
		m.want[p.Cid] = asStored(t, p)
	}
	unmarshal(t, m.store, marshal(t, source))
}

// snapshot moves the pinset into a dsstate and looks at it there.
func (m *model) snapshot(t *rapid.T) {
	target := upstream(t)
	unmarshal(t, target, marshal(t, m.store))
	wantPinset(t, target, slices.Collect(maps.Values(m.want))...)
}

// pinGenerator draws pins of cids. The samples give the shapes, the rest is
// drawn on top.
func pinGenerator(t *testing.T, cids []api.Cid) *rapid.Generator[api.Pin] {
	t.Helper()
	samples := Samples(t)
	second := rapid.Int64Range(-1<<33, 1<<33)
	nanosecond := rapid.Int64Range(0, 999_999_999)
	return rapid.Custom(func(t *rapid.T) api.Pin {
		p := rapid.SampledFrom(samples).Draw(t, "sample").Pin
		p.Cid = rapid.SampledFrom(cids).Draw(t, "cid")
		p.Name = rapid.String().Draw(t, "name")
		if rapid.Bool().Draw(t, "drawn options") {
			p.ReplicationFactorMin = rapid.IntRange(-1, 5).Draw(t, "factor min")
			p.ReplicationFactorMax = rapid.IntRange(-1, 5).Draw(t, "factor max")
			p.Metadata = rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "metadata")
			p.ExpireAt = time.Unix(second.Draw(t, "expiry"), nanosecond.Draw(t, "fraction"))
			p.Allocations = peers(rapid.IntRange(0, 4).Draw(t, "allocations"))
		}
		return p
	})
}
