package events

import (
	"strings"
	"testing"
	"time"
)

// TestOneFactOneID shows that facts that differ in what makes them one have different
// ids, and that nothing else changes the id.
func TestOneFactOneID(t *testing.T) {
	later := versionAfter(time.Hour)
	for _, test := range []struct {
		name   string
		change func(*Event)
		same   bool
	}{
		{"pin.accepted", func(e *Event) { e.Pin.Cid = "other" }, false},
		{"pin.accepted", func(e *Event) { e.Pin.Version = later }, false},
		{"pin.accepted", func(e *Event) { e.Pin.Pin.Name, e.Traceparent = "other", "" }, true},
		{"pin.accepted", func(e *Event) { e.Type = PinUpdated }, true},
		{"pin.pinned", func(e *Event) { e.Status.Cid = "other" }, false},
		{"pin.pinned", func(e *Event) { e.Status.Version = later }, false},
		{"pin.pinned", func(e *Event) { e.Status.At = later }, false},
		{"pin.pinned", func(e *Event) { e.Status.Peer = sampleOther }, false},
		{"pin.pinned", func(e *Event) { e.Type = PinFailed }, false},
		{"pin.pinned", func(e *Event) { e.Status.Error = "other" }, true},
		{"peer.came", func(e *Event) { e.Peer.Peer = sampleOther }, false},
		{"peer.came", func(e *Event) { e.Peer.Incarnation = "other" }, false},
		{"peer.came", func(e *Event) { e.Peer.At = later }, false},
		{"peer.came", func(e *Event) { e.Type = PeerDied }, false},
		{"peer.came", func(e *Event) { e.Peer.Name = "other" }, true},
		{"claim.added", func(e *Event) { e.Claim.Owner = "other" }, false},
		{"claim.added", func(e *Event) { e.Claim.RequestID = "other" }, false},
		{"claim.added", func(e *Event) { e.Type = ClaimRemoved }, false},
		{"claim.pinned", func(e *Event) { e.Type = ClaimSized }, false},
		{"claim.removed", func(e *Event) { e.Claim.Removed, e.Claim.Size = e.Claim.Pinned, 1 }, true},
		{"claim.added", func(e *Event) { e.Claim.Name, e.Claim.At = "other", later }, true},
	} {
		e, changed := samples()[test.name], samples()[test.name]
		test.change(&changed)
		if e.ID() == "" || (changed.ID() == e.ID()) != test.same {
			t.Errorf("%s: the ids are %q and %q, should be the same: %v", test.name, e.ID(), changed.ID(), test.same)
		}
	}
}

// TestKey shows which events are about the same, and what their order is.
func TestKey(t *testing.T) {
	all := samples()
	for _, test := range []struct {
		name    string
		key     string
		version Version
	}{
		{"pin.accepted", "pin/" + sampleCid, all["pin.accepted"].Pin.Version},
		{"pin.unpinned", "pin/" + sampleCid, all["pin.unpinned"].Pin.Version},
		{"pin.pinned", "status/" + sampleCid + "/" + samplePeer, all["pin.pinned"].Status.At},
		{"pin.dropped", "status/" + sampleCid + "/" + samplePeer, all["pin.dropped"].Status.At},
		{"peer.died", "peer/" + samplePeer, all["peer.died"].Peer.At},
		{"claim.removed", "claim/alice@example.org/01JDPX7Q9R6V5T4S3K2H1G0FED", all["claim.removed"].Claim.At},
	} {
		e := all[test.name]
		if e.Key() != test.key || e.Version() != test.version || !e.Time().Equal(test.version.Time()) {
			t.Errorf("%s: key %q, version %s, time %s, want %q, %s", test.name, e.Key(), e.Version(), e.Time(), test.key, test.version)
		}
	}
	none := Event{Type: PinAccepted}
	if none.ID()+none.Key()+none.Subject()+string(none.Version()) != "" || !none.Time().IsZero() {
		t.Error("an event without data has attributes")
	}
}

// TestTypes shows that the list of types is complete: each has data and a kind of its
// own.
func TestTypes(t *testing.T) {
	kinds := make(map[string]bool)
	for _, typ := range Types() {
		if typ.family() == unknownFamily {
			t.Errorf("%s has no data", typ)
		}
		if kind := typ.Kind(); strings.Count(kind, ".") != 1 || kinds[kind] {
			t.Errorf("the kind of %s is %q", typ, kind)
		}
		kinds[typ.Kind()] = true
	}
	if Type("pin.accepted").family() != unknownFamily {
		t.Error("a kind is taken for a type")
	}
}

func TestSource(t *testing.T) {
	for cluster, want := range map[string]string{
		"ipfs-cluster": "/clusters/ipfs-cluster",
		"a b/c?d#e%":   "/clusters/a%20b%2Fc%3Fd%23e%25",
		"Zürich":       "/clusters/Z%C3%BCrich",
	} {
		if got := Source(cluster); got != want {
			t.Errorf("the source of %q is %q, want %q", cluster, got, want)
		}
	}
}
