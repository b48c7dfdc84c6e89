package peerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/status"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func address(t *testing.T, n int) api.Multiaddr {
	t.Helper()
	a, err := api.NewMultiaddr(fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001", n))
	must(t, err)
	return a
}

func TestStatus(t *testing.T) {
	cluster := newCluster()
	c := newClient(t, Config{URLs: []string{cluster.serve(t, anyPort, nil)}})
	a, b := statetest.Cid("a"), statetest.Cid("b")
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	cluster.pins[a] = api.PinCid(a)
	cluster.says[a] = []api.PinInfoShort{
		{PeerName: "zero", Status: api.TrackerStatusPinned, TS: at, IPFSAddresses: []api.Multiaddr{address(t, 1), address(t, 2)}},
		{PeerName: "one", Status: api.TrackerStatusPinError, TS: at, Error: "no space" + strings.Repeat("!", 2000), IPFSAddresses: []api.Multiaddr{address(t, 2)}},
		{PeerName: "two", Status: api.TrackerStatusRemote, TS: at, IPFSAddresses: []api.Multiaddr{address(t, 3)}},
	}
	other, err := cid.NewCidV1(cid.DagProtobuf, a.Hash()).StringOfBase(multibase.Base58BTC)
	must(t, err)
	got, err := c.Status(t.Context(), []string{a.String(), b.String(), other, a.String()})
	must(t, err)
	if len(got) != 3 || got[b.String()].State != StateUnpinned || got[other].State != StatePinned || !got[b.String()].Created.IsZero() {
		t.Fatalf("%+v", got)
	}
	s := got[a.String()]
	if s.State != StatePinned || len(s.Holders) != 2 || len(s.Delegates) != 2 || s.Created.IsZero() {
		t.Fatalf("%+v", s)
	}
	for _, h := range s.Holders {
		want := Holder{ID: statetest.Peer("0").String(), Name: "zero", Status: "pinned", Updated: at}
		if h.Name == "one" {
			want = Holder{ID: statetest.Peer("1").String(), Name: "one", Status: "pin_error", Error: "no space" + strings.Repeat("!", 992), Updated: at}
		}
		if h != want {
			t.Errorf("%+v", h)
		}
	}
	// Without an address of those that are to hold it those of another are better than none.
	cluster.says[a][0].IPFSAddresses, cluster.says[a][1].IPFSAddresses = nil, nil
	got, err = c.Status(t.Context(), []string{a.String()})
	if d := got[a.String()].Delegates; err != nil || !slices.Equal(d, []string{"/ip4/192.0.2.3/tcp/4001"}) {
		t.Error(d, err)
	}
	for i := range 50 {
		cluster.says[a][0].IPFSAddresses = append(cluster.says[a][0].IPFSAddresses, address(t, i))
	}
	got, err = c.Status(t.Context(), []string{a.String()})
	if d := got[a.String()].Delegates; err != nil || len(d) != 20 {
		t.Error(d, err)
	}
	if got, err := c.Status(t.Context(), nil); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
	if _, err := c.Status(t.Context(), []string{a.String(), "x"}); !errors.Is(err, errInvalid) {
		t.Error(err)
	}
}

// The states are those that our peers' Pinning Services API tells, for all that up to
// three peers may say.
func TestStatesAreThoseOfPeers(t *testing.T) {
	entries := []api.PinInfoShort{}
	for _, s := range api.TrackerStatusAll() {
		if s != api.TrackerStatusError && s != api.TrackerStatusQueued { // these are filters
			entries = append(entries, api.PinInfoShort{Status: s})
		}
	}
	entries = append(entries, api.PinInfoShort{Status: api.TrackerStatusUndefined})
	for _, problem := range []string{
		"the peer has sent no heartbeat since 2026-01-01T00:00:00Z", "the peer is not in the cluster, or has joined within seconds",
		"the peer has no IPFS daemon: it runs in the role api",
	} {
		absent := api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: problem}
		if !status.Absent(absent) {
			t.Errorf("package status does not know %q: its words have changed", problem)
		}
		entries = append(entries, absent, api.PinInfoShort{Status: api.TrackerStatusPinError, Error: problem})
	}
	cluster := newCluster()
	var cids []string
	add := func(says ...api.PinInfoShort) {
		id := statetest.Cid(fmt.Sprint("combination ", len(cids)))
		says = slices.Clone(says)
		for i := range says {
			says[i].IPFSAddresses = []api.Multiaddr{address(t, i), address(t, 9)}
		}
		cluster.pins[id], cluster.says[id] = api.PinCid(id), says
		cids = append(cids, id.String())
	}
	corrupt := func(id api.Cid) api.PinInfoShort {
		return api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: state.CorruptText(id) + ": error of the decoder"}
	}
	for i, x := range entries {
		add(x)
		add(x, corrupt(statetest.Cid(fmt.Sprint("combination ", len(cids)))))
		for j, y := range entries[i:] {
			add(x, y)
			for _, z := range entries[i+j:] {
				add(x, y, z)
			}
		}
	}
	c := newClient(t, Config{URLs: []string{cluster.serve(t, anyPort, nil)}})
	got, err := c.Status(t.Context(), cids)
	must(t, err)
	pinning := cluster.servePinning(t)
	seen := make(map[State]int)
	for _, id := range cids {
		want, delegates := askPinning(t, pinning+"/pins/"+id)
		parsed, err := api.DecodeCid(id)
		must(t, err)
		if got[id].State != want || want != StateUnpinned && !slices.Equal(got[id].Delegates, delegates) {
			t.Errorf("%+v: %q, and at a peer %q; delegates %q and %q", cluster.says[parsed], got[id].State, want, got[id].Delegates, delegates)
		}
		seen[got[id].State]++
	}
	if len(cids) < 900 || len(seen) != 5 {
		t.Errorf("%d combinations have the states %v", len(cids), seen)
	}
}

// askPinning asks the Pinning Services API for the state of a pin.
func askPinning(t *testing.T, url string) (State, []string) {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode == http.StatusNotFound {
		return StateUnpinned, nil
	}
	var pin struct {
		Status    State
		Delegates []string
	}
	must(t, json.Unmarshal(body, &pin))
	return pin.Status, pin.Delegates
}

// As many CIDs as there are go in requests that the peer's server takes.
func TestStatusOfMany(t *testing.T) {
	cluster := newCluster()
	c := newClient(t, Config{URLs: []string{cluster.serve(t, anyPort, map[string]string{"gateway": "right"})}, User: "gateway", PasswordFile: file(t, "right")})
	var cids []string
	for i := range 450 {
		hash, err := multihash.Sum([]byte(fmt.Sprint(i)), []uint64{multihash.SHA2_256, multihash.SHA2_512}[i%2], -1)
		must(t, err)
		cids = append(cids, cid.NewCidV1(cid.Raw, hash).String())
	}
	got, err := c.Status(t.Context(), cids)
	if err != nil || len(got) != len(cids) {
		t.Error(len(got), err)
	}
	for ids := cids; len(ids) > 0; {
		n := batchSize(ids)
		if size := len(strings.Join(ids[:n], ",")); n < 1 || n > maxBatch || size > maxQuery {
			t.Errorf("%d CIDs with %d bytes", n, size)
		}
		ids = ids[n:]
	}
}

// A stream that breaks off is an error, in each of the ways in which it can.
func TestStatusThatBreaksOff(t *testing.T) {
	cluster := newCluster()
	cids := []string{text("a"), text("b"), text("c")}
	url := cluster.serve(t, anyPort, nil)
	c := newClient(t, Config{URLs: []string{url}})
	for _, label := range []string{"a", "b", "c"} {
		cluster.says[statetest.Cid(label)] = []api.PinInfoShort{{Status: api.TrackerStatusPinned}}
	}
	cluster.bad = statetest.Cid("b") // upstream's own: one of them fails
	if got, err := c.Status(t.Context(), cids); err == nil || !strings.Contains(err.Error(), "no Status of this CID") {
		t.Error(got, err)
	}
	cluster.bad = api.CidUndef
	recorded := record(t, url+"/pins?cids="+strings.Join(cids, ","))
	lines := strings.SplitAfter(recorded, "\n")
	for name, answer := range map[string]http.HandlerFunc{
		"no error":       says(200, recorded),
		"cut":            says(200, recorded[:len(recorded)-20]),
		"cut at a line":  says(200, lines[0]+lines[1]),
		"nothing":        says(204, ""),
		"empty":          says(200, ""),
		"instead of one": says(200, lines[0]+lines[1]+strings.Replace(lines[2], lines[2][8:20], "bafybeiother", 1)),
		"another CID":    says(200, recorded+strings.Replace(lines[0], recorded[8:20], "bafybeiother", 1)),
		"error": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", streamError)
			_, _ = io.WriteString(w, recorded)
			w.Header().Set(streamError, "")
			w.Header().Add(streamError, "the database is gone")
		},
		"connection": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, recorded)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, recorded)
			for range maxAnswer >> 20 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<20))); err != nil {
					return
				}
			}
		},
	} {
		got, err := newClient(t, Config{URLs: []string{fake(t, answer)}}).Status(t.Context(), cids)
		var unreachable *Unreachable
		if name == "no error" {
			if err != nil || len(got) != 3 {
				t.Errorf("the whole answer: %v", err)
			}
		} else if !errors.As(err, &unreachable) || got != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// record is what a server answers.
func record(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}
