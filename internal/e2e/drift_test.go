package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// driftOutput is what state drift prints as JSON, as far as it is looked at.
type driftOutput struct {
	Desired    int                 `json:"desired"`
	Missing    int                 `json:"missing"`
	Extra      int                 `json:"extra"`
	WrongMode  int                 `json:"wrong_mode"`
	InFlight   int                 `json:"in_flight"`
	Others     int                 `json:"others"`
	Recovering int                 `json:"recovering"`
	Ratio      float64             `json:"ratio"`
	Examples   map[string][]string `json:"examples"`
}

// drift runs state drift. Nothing counts as in flight only because it has changed.
func (p *peer) drift(t *testing.T, code int, flags ...string) driftOutput {
	t.Helper()
	got := run(t, p.service(t, nil, append([]string{"state", "drift", "--json", "--grace", "0s"}, flags...)...))
	var out driftOutput
	if got.code != code {
		t.Fatalf("state drift %v ends with %d, want %d: %s %s", flags, got.code, code, got.stdout, got.stderr)
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatalf("state drift prints %s: %s", got.stdout, err)
	}
	return out
}

// mustPost changes the pins of Kubo behind the back of its peer.
func (k *ipfs) mustPost(t *testing.T, command string, query url.Values) {
	t.Helper()
	if _, err := k.post(command, query, "", nil); err != nil {
		t.Fatal(err)
	}
}

// repairs removes pins behind the back of the running peer, and has state drift repair what it
// finds. A peer that has just started compares its pins with Kubo by itself, and may be faster:
// it is tried until state drift finds all that were removed.
func (p *peer) repairs(t *testing.T, k *ipfs, lost []string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		held := k.pinnedAs(t, "recursive")
		for _, cid := range lost {
			if held[cid] {
				k.mustPost(t, "pin/rm", url.Values{"arg": {cid}})
			}
		}
		got := run(t, p.service(t, nil, "state", "drift", "--json", "--grace", "0s", "--repair"))
		var out driftOutput
		if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code > 1 {
			t.Fatalf("state drift --repair ends with %d: %s %s", got.code, got.stdout, got.stderr)
		}
		named := slices.DeleteFunc(slices.Clone(lost), func(cid string) bool { return slices.Contains(out.Examples["missing"], cid) })
		if len(named) > 0 && time.Now().Before(deadline) {
			continue // the peer was faster
		}
		if got.code != 1 || out.Missing < len(lost) || out.Recovering != out.Missing+out.WrongMode || len(named) > 0 {
			t.Errorf("state drift --repair ends with %d, of %v it names all but %v: %+v", got.code, lost, named, out)
		}
		return
	}
}

// TestStateDrift: what is changed in a Kubo behind the back of its peer, or in the pinset
// while the peer is down, is counted exactly, and what the running daemon is asked to repair
// is as it should be after that.
func TestStateDrift(t *testing.T) {
	t.Parallel()
	db := on(t, cqltest.Start(t))
	const n = 30
	peers, kubos, cids := startTwoPeers(t, db, n+2)
	p, k := peers[0], kubos[0]
	theirs, cids := cids[n:], cids[:n]
	slices.Sort(cids)
	others := len(k.pinnedAs(t, "recursive")) + len(k.pinnedAs(t, "direct"))
	for _, cid := range cids {
		peers[1].mustPin(t, cid, nil)
	}
	for _, p := range peers {
		eventually(t, time.Minute, "everything has status pinned", p.allPinned)
	}
	p.stop(t)
	if got := p.drift(t, 0); got.Desired != n || got.Others != others || got.InFlight != 0 || got.Ratio != 0 {
		t.Errorf("before anything is wrong: %+v", got)
	}

	missing, extra, mode := cids[:3], cids[3:5], cids[5:6]
	for _, cid := range missing {
		k.mustPost(t, "pin/rm", url.Values{"arg": {cid}})
	}
	for _, cid := range extra {
		if err := peers[1].do(http.MethodDelete, "/pins/"+cid, func(json.RawMessage) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, cid := range mode {
		k.mustPost(t, "pin/rm", url.Values{"arg": {cid}})
		k.mustPost(t, "pin/add", url.Values{"arg": {cid}, "recursive": {"false"}})
	}
	for _, cid := range theirs {
		k.mustPost(t, "pin/add", url.Values{"arg": {cid}})
	}
	want := driftOutput{
		Desired: n - 2, Missing: 3, Extra: 2, WrongMode: 1, Others: others + 2, Ratio: 6. / (n - 2),
		Examples: map[string][]string{"missing": missing, "extra": extra, "wrong_mode": mode},
	}
	got := p.drift(t, 1)
	for _, some := range got.Examples {
		slices.Sort(some)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it finds %+v, want %+v", got, want)
	}
	if got := p.drift(t, 1, "--examples", "1"); len(got.Examples["missing"]) != 1 || got.Missing != 3 {
		t.Errorf("with one example: %+v", got)
	}
	if got := p.drift(t, 0, "--grace", "10h"); got.Desired != 0 || got.InFlight != n {
		t.Errorf("while all is in flight: %+v", got)
	}
	text := run(t, p.service(t, nil, "state", "drift", "--grace", "0s"))
	if text.code != 1 || !strings.Contains(text.stdout, missing[0]) || !strings.Contains(text.stderr, "pins that differ: 6") {
		t.Errorf("for people it prints %+v", text)
	}
	refused := run(t, p.service(t, nil, "state", "drift", "--repair"))
	if refused.code != 2 || !strings.Contains(refused.stderr, "--repair needs the daemon") {
		t.Errorf("without a daemon --repair ends with %+v", refused)
	}

	p.start(t)
	p.waitReady(t)
	lost := cids[6:9] // what was lost before the start may be there again by now
	p.repairs(t, k, lost)
	eventually(t, time.Minute, "nothing drifts", func() error {
		got := run(t, p.service(t, nil, "state", "drift", "--grace", "0s"))
		if got.code != 0 {
			return fmt.Errorf("exit code %d: %s %s", got.code, got.stdout, got.stderr)
		}
		return nil
	})
	held := k.pinnedAs(t, "recursive")
	for _, cid := range slices.Concat(missing, mode, lost, theirs) {
		if !held[cid] {
			t.Errorf("Kubo does not have %s", cid)
		}
	}
	if err := onlyPinned(held, extra, nil); err != nil {
		t.Error(err)
	}
	for _, p := range peers {
		p.stop(t)
	}
	k.interrupt(t, syscall.SIGINT)
	down := run(t, p.service(t, nil, "state", "drift", "--json"))
	if down.code != 2 || down.stdout != "" || !strings.Contains(down.stderr, "listing what IPFS has pinned") {
		t.Errorf("without IPFS it ends with %+v", down)
	}
}
