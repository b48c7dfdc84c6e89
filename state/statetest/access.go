package statetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// tester is what the checks below need of a *testing.T or a *rapid.T.
type tester interface {
	Context() context.Context
	Helper()
	Fatalf(format string, args ...any)
}

// upstream returns an empty pinset kept by upstream's own code, in memory.
func upstream(t tester) state.Store {
	t.Helper()
	s, err := dsstate.New(t.Context(), inmem.New(), "", nil)
	if err != nil {
		t.Fatalf("dsstate in memory: %v", err)
	}
	return s
}

// asStored returns pin as upstream gives it back after storing it.
func asStored(t tester, pin api.Pin) api.Pin {
	t.Helper()
	s := upstream(t)
	add(t, s, pin)
	stored, err := s.Get(t.Context(), pin.Cid)
	if err != nil {
		t.Fatalf("dsstate in memory: %v", err)
	}
	return stored
}

func add(t tester, s state.Store, pins ...api.Pin) {
	t.Helper()
	for _, pin := range pins {
		if err := s.Add(t.Context(), pin); err != nil {
			t.Fatalf("Add(%s): %v", pin.Cid, err)
		}
	}
}

// addMany adds pins from several goroutines, because a database answers one
// writer at a time too slowly for long listings.
func addMany(t tester, s state.Store, pins []api.Pin) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(16)
	for _, pin := range pins {
		g.Go(func() error {
			if err := s.Add(ctx, pin); err != nil {
				return fmt.Errorf("add %s: %w", pin.Cid, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("%v", err)
	}
}

func rm(t tester, s state.Store, cids ...api.Cid) {
	t.Helper()
	for _, c := range cids {
		if err := s.Rm(t.Context(), c); err != nil {
			t.Fatalf("Rm(%s): %v", c, err)
		}
	}
}

// wantPin demands that s shows want for want.Cid, and shows it exactly.
func wantPin(t tester, s state.Store, want api.Pin) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Cid)
	if err != nil {
		t.Fatalf("Get(%s): %v", want.Cid, err)
	}
	samePin(t, got, want)
	has, err := s.Has(t.Context(), want.Cid)
	if err != nil {
		t.Fatalf("Has(%s): %v", want.Cid, err)
	}
	if !has {
		t.Fatalf("Has(%s) is false, but Get returns the pin", want.Cid)
	}
}

// wantMissing demands that c is not in s, told in upstream's exact way.
func wantMissing(t tester, s state.Store, c api.Cid) {
	t.Helper()
	got, err := s.Get(t.Context(), c)
	// Not errors.Is: upstream compares with == (see state.ErrNotFound).
	if err != state.ErrNotFound {
		t.Fatalf("Get(%s) = %s, error %v: want state.ErrNotFound itself", c, asJSON(got), err)
	}
	if !reflect.DeepEqual(got, api.Pin{}) {
		t.Fatalf("Get(%s) with ErrNotFound returns a pin that is not zero: %s", c, asJSON(got))
	}
	has, err := s.Has(t.Context(), c)
	if err != nil {
		t.Fatalf("Has(%s): %v", c, err)
	}
	if has {
		t.Fatalf("Has(%s) is true, but Get finds nothing", c)
	}
}

// wantPinset demands that List sends exactly the pins of want, each once.
func wantPinset(t tester, s state.Store, want ...api.Pin) {
	t.Helper()
	got := make(map[api.Cid]api.Pin)
	err := list(t.Context(), t, s, func(pin api.Pin) {
		if _, twice := got[pin.Cid]; twice {
			t.Fatalf("List sent %s twice", pin.Cid)
		}
		got[pin.Cid] = pin
	})
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	for _, pin := range want {
		listed, ok := got[pin.Cid]
		if !ok {
			t.Fatalf("List did not send %s", pin.Cid)
		}
		samePin(t, listed, pin)
		delete(got, pin.Cid)
	}
	for c := range got {
		t.Fatalf("List sent %s, which is not in the pinset", c)
	}
}

func samePin(t tester, got, want api.Pin) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s is not as upstream returns it:\n got %s\nwant %s", want.Cid, asJSON(got), asJSON(want))
	}
}

func asJSON(pin any) string {
	b, err := json.Marshal(pin)
	if err != nil {
		return fmt.Sprintf("%+v", pin)
	}
	return string(b)
}
