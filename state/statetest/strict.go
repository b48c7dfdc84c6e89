package statetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func strictListTests() []test {
	return []test{
		{"reader leaves", testReaderLeaves},
		{"corrupt pin", testCorruptPin},
	}
}

func strictCrudTests() []test {
	return []test{
		{"undefined cid", testUndefinedCid},
		{"unreadable pin", testUnreadablePin},
	}
}

func strictSnapshotTests() []test {
	return []test{
		{"cut short", testSnapshotCutShort},
		{"bad records", testSnapshotBadRecords},
	}
}

func strictBatchTests() []test {
	return []test{
		{"commit forgets", testCommitForgets},
	}
}

// testReaderLeaves stops reading for good. Only the context tells List.
func testReaderLeaves(t *testing.T, s Suite) {
	store := s.New(t)
	add(t, store, numbered(t, 50)...)
	for _, n := range []int{0, 1, 10} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := make(chan api.Pin)
		returned := startList(ctx, store, out)
		if got := read(t, out, n); got != n {
			t.Fatalf("List ended after %d of 50 pins: %v", got, wait(t, returned))
		}
		cancel()
		err := wait(t, returned)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("List without a reader after %d pins: error %v, want one that matches context.Canceled", n, err)
		}
		if !isClosed(out) {
			t.Errorf("List without a reader after %d pins left the channel open", n)
		}
	}
}

// testCorruptPin plants bytes that are not a pin. Whoever reads them must be
// told which CID it is: a pin left out would look like a pin removed.
func testCorruptPin(t *testing.T, s Suite) {
	store := s.New(t)
	bad := Cid("numbered 1")
	add(t, store, numbered(t, 3)...)
	s.Corrupt(t, store, bad)

	got, err := store.Get(t.Context(), bad)
	wantCorrupt(t, "Get", err, bad)
	if got.Defined() {
		t.Errorf("Get of a corrupt pin returns %s with its error", asJSON(got))
	}
	wantCorrupt(t, "List", list(t.Context(), t, store, func(p api.Pin) {
		if p.Cid == bad {
			t.Errorf("List sent the corrupt pin: %s", asJSON(p))
		}
	}), bad)
	wantCorrupt(t, "Marshal", store.Marshal(new(bytes.Buffer)), bad)

	// The way out is to write the pin again, or to remove it.
	wantPin(t, store, asStored(t, named("numbered 0", "pin 0")))
	again := named("numbered 1", "again")
	add(t, store, again)
	wantPin(t, store, asStored(t, again))
	s.Corrupt(t, store, bad)
	rm(t, store, bad)
	wantMissing(t, store, bad)
}

func wantCorrupt(t *testing.T, call string, err error, c api.Cid) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s says nothing about a corrupt pin", call)
	case errors.Is(err, state.ErrNotFound):
		t.Errorf("%s takes a corrupt pin for a missing one: %v", call, err)
	case !strings.Contains(err.Error(), c.String()):
		t.Errorf("%s does not name the corrupt pin %s: %v", call, c, err)
	}
}

func testUndefinedCid(t *testing.T, s Suite) {
	store := s.New(t)
	p := named("a", "a")
	p.Cid = api.CidUndef
	if err := store.Add(t.Context(), p); err == nil {
		t.Error("Add accepted a pin without a CID")
	}
	wantMissing(t, store, api.CidUndef)
	wantPinset(t, store)
}

// testUnreadablePin uses pins that upstream's encoding takes and its decoding
// does not. One of them in the pinset would end every List.
func testUnreadablePin(t *testing.T, s Suite) {
	store := s.New(t)
	before := named("a", "before")
	add(t, store, before)
	badPeer, badOrigin := named("a", "bad peer"), named("b", "bad origin")
	badPeer.Allocations = []peer.ID{Peer("good"), "x"}
	badOrigin.Origins = []api.Multiaddr{{}}
	for _, bad := range []api.Pin{badPeer, badOrigin} {
		if err := store.Add(t.Context(), bad); err == nil {
			t.Errorf("Add accepted a pin that cannot be read back (%s)", bad.Name)
		}
	}
	wantPinset(t, store, asStored(t, before))
}

// testSnapshotCutShort ends a snapshot at every byte of its last record but
// the first. An end between two records cannot be told from the real one.
func testSnapshotCutShort(t *testing.T, s Suite) {
	store := s.New(t)
	first := marshal(t, upstreamWith(t, named("first", "first")))
	last := marshal(t, upstreamWith(t, named("last", "last")))
	for cut := 1; cut < len(last); cut++ {
		snapshot := append(bytes.Clone(first), last[:cut]...)
		if err := store.Unmarshal(bytes.NewReader(snapshot)); err == nil {
			t.Fatalf("Unmarshal of a snapshot without its last %d bytes returned nil", len(last)-cut)
		}
		wantMissing(t, store, Cid("last"))
	}
	unmarshal(t, store, append(first, last...))
	wantPinset(t, store, asStored(t, named("first", "first")), asStored(t, named("last", "last")))
}

func testSnapshotBadRecords(t *testing.T, s Suite) {
	store := s.New(t)
	for key, value := range decode(t, marshal(t, upstreamWith(t, named("a", "a")))) {
		for name, bad := range map[string]map[string][]byte{
			"no key":                 {"": value},
			"a key that is no CID":   {"AAAA": value},
			"a key that is not text": {"not base32 !": value},
			"a value that is no pin": {key: []byte("\xff\xffnot a pin")},
			"no value":               {key: nil}, // decodes, to a pin of no type
		} {
			if err := store.Unmarshal(bytes.NewReader(encode(t, bad))); err == nil {
				t.Errorf("Unmarshal of a record with %s returned nil", name)
			}
		}
	}
	if err := store.Unmarshal(strings.NewReader("\x80")); err == nil {
		t.Error("Unmarshal of a record without fields returned nil")
	}
	wantPinset(t, store)
}

// testCommitForgets removes a pin after the batch that added it was committed:
// the next Commit must not bring it back.
func testCommitForgets(t *testing.T, s Suite) {
	batching, committed := s.NewBatching(t)
	removed, kept := named("removed", "removed"), named("kept", "kept")
	add(t, batching, removed)
	commit(t, batching)
	rm(t, committed, removed.Cid)
	add(t, batching, kept)
	commit(t, batching)
	wantPinset(t, committed, asStored(t, kept))
}
