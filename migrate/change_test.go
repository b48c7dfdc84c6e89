package migrate

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func ids(labels ...string) []peer.ID {
	var ids []peer.ID
	for _, label := range labels {
		ids = append(ids, statetest.Peer(label))
	}
	return ids
}

func renames(pairs ...string) map[peer.ID]peer.ID {
	peers := make(map[peer.ID]peer.ID)
	for i := 0; i < len(pairs); i += 2 {
		peers[statetest.Peer(pairs[i])] = statetest.Peer(pairs[i+1])
	}
	return peers
}

func TestApply(t *testing.T) {
	tests := []struct {
		name     string
		change   Change
		min, max int
		allocs   []string
		wantMin  int
		wantMax  int
		want     []string
		changed  bool
	}{
		{"nothing", Change{}, 1, 2, []string{"a", "b"}, 1, 2, []string{"a", "b"}, false},
		{"nothing, where the factors are wrong", Change{Peers: renames("a", "x")}, 3, 2, []string{"a"}, 3, 2, []string{"x"}, true},
		{"both factors", Change{ReplicationMin: 3, ReplicationMax: 4}, 1, 2, nil, 3, 4, nil, true},
		{"the factors it has", Change{ReplicationMin: 1, ReplicationMax: 2}, 1, 2, nil, 1, 2, nil, false},
		{"allocations", Change{Allocations: ids("c")}, 1, 2, []string{"a", "b"}, 1, 2, []string{"c"}, true},
		{"the allocations it has", Change{Allocations: ids("a", "b")}, 1, 2, []string{"a", "b"}, 1, 2, []string{"a", "b"}, false},
		{"allocations of a pin without", Change{Allocations: ids("c")}, -1, -1, nil, -1, -1, []string{"c"}, true},
		{"a name", Change{Peers: renames("a", "x")}, 1, 2, []string{"b", "a"}, 1, 2, []string{"b", "x"}, true},
		{"a swap", Change{Peers: renames("a", "b", "b", "a")}, 1, 2, []string{"a", "b", "c"}, 1, 2, []string{"b", "a", "c"}, true},
		{"two that become one", Change{Peers: renames("b", "c")}, 1, 2, []string{"a", "b", "c"}, 1, 2, []string{"a", "c"}, true},
		{"names of others", Change{Peers: renames("x", "y", "a", "a")}, 1, 2, []string{"a", "b", "a"}, 1, 2, []string{"a", "b", "a"}, false},
		{"names after allocations", Change{Allocations: ids("a", "c"), Peers: renames("a", "x")}, 1, 2, []string{"b"}, 1, 2, []string{"x", "c"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			given := ids(test.allocs...)
			before := slices.Clone(given)
			pin := testPin("p", func(p *api.Pin) {
				p.ReplicationFactorMin, p.ReplicationFactorMax, p.Allocations = test.min, test.max, given
			})
			changed, err := test.change.Apply(&pin)
			if err != nil {
				t.Fatal(err)
			}
			if pin.ReplicationFactorMin != test.wantMin || pin.ReplicationFactorMax != test.wantMax || !slices.Equal(pin.Allocations, ids(test.want...)) || changed != test.changed {
				t.Errorf("changed %v: %v", changed, pin)
			}
			if !slices.Equal(given, before) {
				t.Error("the slice of the caller has changed")
			}
		})
	}
	for _, change := range []Change{{ReplicationMin: 3}, {ReplicationMax: 1}} {
		pin := testPin("p", func(p *api.Pin) { p.ReplicationFactorMin = 2 })
		_, err := change.Apply(&pin)
		wantError(t, err, pin.Cid.String(), "the minimum and the maximum together")
	}
}

func TestChangeIsRecorded(t *testing.T) {
	for _, change := range []Change{
		{},
		{ReplicationMin: 1, ReplicationMax: 2},
		{Allocations: ids("b", "a"), Peers: renames("a", "b", "c", "d", "e", "b")},
	} {
		got, err := RecordedChange(state.Migration{Options: change.String()})
		if err != nil || !reflect.DeepEqual(got, change) {
			t.Errorf("recorded as %s: %+v, %v", change, got, err)
		}
		if again := got.String(); again != change.String() {
			t.Errorf("the text is %s, then %s", change, again)
		}
	}
	if got, err := RecordedChange(state.Migration{}); err != nil || !got.Zero() {
		t.Errorf("nothing recorded: %+v, %v", got, err)
	}
	for _, text := range []string{"{", `{"allocations":["x"]}`, `{"peers":{"x":"y"}}`} {
		_, err := RecordedChange(state.Migration{ID: "crdt:/here", Options: text})
		wantError(t, err, "crdt:/here", "command line")
	}
}

func TestFingerprintChangesWithWhatIsBroughtIn(t *testing.T) {
	seen := make(map[string]bool)
	for _, source := range []string{"one", "two"} {
		for _, change := range []Change{{}, {ReplicationMin: 1}, {ReplicationMax: 1}, {Allocations: ids("a")}, {Peers: renames("a", "b")}, {Peers: renames("b", "a")}} {
			seen[change.fingerprint(source)] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d fingerprints of 12 different things", len(seen))
	}
	if f := (Change{ReplicationMin: 1}).fingerprint(""); f != "" {
		t.Errorf("the fingerprint of a source without is %q", f)
	}
}

func TestParsePeerMap(t *testing.T) {
	a, b, c := statetest.Peer("a").String(), statetest.Peer("b").String(), statetest.Peer("c").String()
	for text, want := range map[string]map[peer.ID]peer.ID{
		"":          nil,
		"  ":        nil,
		a + "=" + b: renames("a", "b"),
		" " + a + " = " + b + " , " + c + "=" + b: renames("a", "b", "c", "b"),
		a + "=" + b + "," + b + "=" + a:           renames("a", "b", "b", "a"),
	} {
		if got, err := ParsePeerMap(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, part := range map[string]string{
		a:                               `no "="`,
		a + "=":                         `"" is not a peer ID`,
		"=" + a:                         `"" is not a peer ID`,
		a + "=" + b + ",":               `no "="`,
		"x=" + b:                        `"x" is not a peer ID`,
		a + "=" + b + "=" + c:           "is not a peer ID",
		a + "=" + b + "," + a + "=" + c: "there twice",
	} {
		got, err := ParsePeerMap(text)
		wantError(t, err, "map of peers", part, "OLD=NEW")
		if got != nil {
			t.Errorf("%q: a map along with the error", text)
		}
	}
}

func FuzzParsePeerMap(f *testing.F) {
	a, b := statetest.Peer("a").String(), statetest.Peer("b").String()
	for _, text := range []string{"", "a=b", a + "=" + b, a + "=" + b + "," + b + "=" + a, a + "=" + b + ",", "=,=", a + "==" + b} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		peers, err := ParsePeerMap(text)
		if err != nil {
			if peers != nil {
				t.Error("a map along with an error")
			}
			return
		}
		change := Change{Peers: peers}
		again, err := RecordedChange(state.Migration{Options: change.String()})
		if err != nil || !maps.Equal(again.Peers, peers) {
			t.Errorf("recorded as %s and read as %v: %v", change, again.Peers, err)
		}
	})
}

// FuzzStoredReport resumes a run whose report and change are anything.
func FuzzStoredReport(f *testing.F) {
	report, err := json.Marshal(Report{Change: Change{Peers: renames("a", "b")}, BadRecords: []BadRecord{{At: "line 7", Error: "bad"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(report), Change{Allocations: ids("a")}.String(), []byte("after 10"), int64(10))
	f.Add("", "", []byte(nil), int64(0))
	f.Add("{", "null", []byte{0}, int64(-1))
	f.Fuzz(func(t *testing.T, report, options string, position []byte, read int64) {
		m := state.Migration{ID: "x", Report: report, Options: options, Position: position, Read: read, Bad: 3}
		var r Report
		r.takeOver(m)
		if r.Records != read || r.Bad != 3 || len(r.BadRecords) > listed {
			t.Errorf("taken over: %+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error("the report cannot be stored again: ", err)
		}
		if change, err := RecordedChange(m); err == nil {
			if again, err := RecordedChange(state.Migration{Options: change.String()}); err != nil || again.String() != change.String() {
				t.Errorf("the change %s is read again as %s: %v", change, again, err)
			}
		}
	})
}
