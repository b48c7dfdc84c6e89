package pinsvc

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestReplace: the pin in place of another is what was asked for, wherever upstream
// would take over what the other one was.
func TestReplace(t *testing.T) {
	s := newService(t)
	a, b, c := statetest.Cid("a"), statetest.Cid("b"), statetest.Cid("c")
	replace := func(old api.Cid, want int, format string, args ...any) (got pinStatus) {
		t.Helper()
		s.call(http.MethodPost, "/pins/"+old.String(), fmt.Sprintf(format, args...), want, &got)
		return got
	}
	replace(a, http.StatusNotFound, `{"cid": %q}`, b)
	replace(a, http.StatusNotFound, `{"cid": %q}`, a)
	if len(s.pins) != 0 {
		t.Errorf("%d pins in place of none", len(s.pins))
	}

	// Each of these options is one that an update would take over, or not be allowed.
	for what, set := range map[string]func(*api.Pin){
		"name":               func(p *api.Pin) { p.Name = "a" },
		"meta":               func(p *api.Pin) { p.Metadata = map[string]string{"of": "test"} },
		"origins":            func(p *api.Pin) { p.Origins = addresses("somewhere") },
		"expiry":             func(p *api.Pin) { p.ExpireAt = time.Unix(1e10, 0) },
		"expiry that is due": func(p *api.Pin) { p.ExpireAt = time.Unix(1, 0) },
		"mode":               func(p *api.Pin) { p.Mode, p.MaxDepth = api.PinModeDirect, 0 },
	} {
		for _, pins := range []map[api.Cid]api.Pin{{}, {b: api.PinCid(b)}} { // the new one may be pinned already
			old := api.PinWithOpts(a, api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 3})
			old.Allocations = somePeers(3)
			set(&old)
			pins[a] = old
			s.set(func() { s.pins, s.made = pins, 0 })
			got := replace(a, http.StatusAccepted, `{"cid": %q}`, b)
			pin := s.pins[b]
			if got.RequestID != b.String() || len(got.Pin.Meta) != 0 || pin.Name != "" || len(pin.Metadata) != 0 || len(pin.Origins) != 0 ||
				runsOut(pin) || pin.MaxDepth != api.PinModeRecursive.ToPinDepth() {
				t.Errorf("in place of one with a %s: %+v, %+v", what, got, pin)
			}
			if pin.ReplicationFactorMin != 2 || pin.ReplicationFactorMax != 3 || !slices.Equal(pin.Allocations, old.Allocations) ||
				len(s.pins) != 1 || s.made != 1 {
				t.Errorf("in place of one with a %s: %d pins, %d writes, %+v", what, len(s.pins), s.made, pin)
			}
			s.call(http.MethodGet, "/pins/"+a.String(), "", http.StatusNotFound, nil)
		}
	}

	var got pinStatus
	if got = replace(b, http.StatusAccepted, `{"cid": %q, "name": "again"}`, b); got.Pin.Name != "again" || len(s.pins) != 1 {
		t.Errorf("in place of itself: %+v, %d pins", got, len(s.pins))
	}
	if pin := s.pins[b]; pin.ReplicationFactorMin != 2 || pin.ReplicationFactorMax != 3 {
		t.Errorf("in place of itself: from %d to %d copies", pin.ReplicationFactorMin, pin.ReplicationFactorMax)
	}
	writes := s.made
	if replace(b, http.StatusAccepted, `{"cid": %q, "name": "third"}`, c); s.made != writes+1 || s.pins[c].PinUpdate != b {
		t.Errorf("%d writes, %+v", s.made-writes, s.pins[c])
	}
}

// TestReplaceChanged: a pin that somebody changes at that moment leaves none of it to the
// one in its place.
func TestReplaceChanged(t *testing.T) {
	s := newService(t)
	a, b := statetest.Cid("a"), statetest.Cid("b")
	s.pins[a] = api.PinCid(a)
	s.changing = func(c api.Cid) {
		pin := s.pins[c]
		pin.ExpireAt = time.Unix(1e10, 0)
		s.pins[c] = pin
	}
	s.call(http.MethodPost, "/pins/"+a.String(), fmt.Sprintf(`{"cid": %q}`, b), http.StatusAccepted, nil)
	if pin, there := s.pins[b]; !there || runsOut(pin) || len(s.pins) != 1 {
		t.Errorf("the pins are %+v", s.pins)
	}
}

// TestReplaceRemoved: a pin that somebody removes at that moment is replaced.
func TestReplaceRemoved(t *testing.T) {
	s := newService(t)
	s.add("a")
	s.set(func() { s.removing = statetest.Cid("a") })
	s.call(http.MethodPost, "/pins/"+statetest.Cid("a").String(), fmt.Sprintf(`{"cid": %q}`, statetest.Cid("b")), http.StatusAccepted, nil)
	if _, there := s.pins[statetest.Cid("b")]; !there || len(s.pins) != 1 {
		t.Errorf("the pins are %v", s.pins)
	}
}
