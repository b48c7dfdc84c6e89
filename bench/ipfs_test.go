package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
)

// TestStandIn: upstream's connector, and what measures sizes, take the stand-in for
// Kubo.
func TestStandIn(t *testing.T) {
	ids, err := newPeers(1)
	if err != nil {
		t.Fatal(err)
	}
	ipfs := newStandIn(ids[0])
	defer ipfs.close()
	b := &ownBench{set: settings{Own: 3}}
	ipfs.all = b.eachPin
	daemon, err := daemonAt(ipfs)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	s, err := newSample("mine", 0)
	if err != nil {
		t.Fatal(err)
	}
	status := func(want api.IPFSPinStatus) {
		t.Helper()
		if got, err := daemon.PinLsCid(ctx, s.pin); err != nil || got != want {
			t.Errorf("the pin is %v (%v), want %v", got, err, want)
		}
	}
	s.pin.MaxDepth = -1
	status(api.IPFSPinStatusUnpinned)
	if err := daemon.Pin(ctx, s.pin); err != nil {
		t.Error(err)
	}
	status(api.IPFSPinStatusRecursive)
	if held := ipfs.held([]string{s.pin.Cid.String(), "another"}); held != 1 {
		t.Errorf("%d pins are held, want 1", held)
	}
	if err := daemon.Unpin(ctx, s.pin.Cid); err != nil {
		t.Error(err)
	}
	status(api.IPFSPinStatusUnpinned)
	size, err := tracker.KuboSize(ipfs.server.URL, http.DefaultClient)(ctx, s.pin.Cid)
	if err != nil || size != 1000 {
		t.Errorf("the size is %d (%v), want 1000", size, err)
	}
	for kind, want := range map[string]int{"recursive": 3, "direct": 0} {
		out := make(chan api.IPFSPinInfo, 10)
		if err := daemon.PinLs(ctx, []string{kind}, out); err != nil || len(out) != want {
			t.Errorf("%d %s pins are listed (%v), want %d", len(out), kind, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	c, err := parse([]string{"-only", "peers", "-peers", "2,16", "-cluster-pins", "50", "-profiles", "p"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.set; len(got.Peers) != 2 || got.Peers[1] != 16 || got.ClusterPins != 50 || got.Profiles != "p" || got.Own != defaults().Own {
		t.Errorf("the settings are %+v", got)
	}
	if c, err := parse([]string{"-quick", "-own", "7"}); err != nil || c.set.Own != 7 || c.set.Pins != quick().Pins {
		t.Errorf("a quick run with 7 own pins is %+v (%v)", c, err)
	}
	for _, line := range []string{"-only all", "-pins 0", "-own -1", "-peers 1,none", "-peers 0", "more"} {
		if _, err := parse(strings.Fields(line)); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// TestPinLoad: what a peer refuses is an error, and what IPFS does not make is missing.
func TestPinLoad(t *testing.T) {
	ipfs := newStandIn("")
	defer ipfs.close()
	status := http.StatusOK
	rest := newStandIn("")
	rest.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if c := strings.TrimPrefix(r.URL.Path, "/pins/"); r.URL.Query().Get("replication-min") == "2" && len(ipfs.pins) < 6 {
			ipfs.mu.Lock()
			defer ipfs.mu.Unlock()
			ipfs.pins[c] = struct{}{}
		}
		_, _ = io.WriteString(w, "{}")
	})
	defer rest.close()
	c := &cluster{daemons: []*daemon{{service: &service{url: rest.server.URL}}}, ipfs: []*standIn{ipfs}}
	ipfs.pins["of an earlier load"] = struct{}{}
	load, err := newPinLoad(c, "load", 8, 2)
	if err != nil {
		t.Fatal(err)
	}
	rate, err := load.send(t.Context(), 1)
	if err != nil || rate <= 0 {
		t.Errorf("%.1f pins/s are acknowledged (%v)", rate, err)
	}
	got, err := load.wait(t.Context(), 0)
	if want := 11.0 / 16; err != nil || got.missing != want {
		t.Errorf("a load of 8 pins, of whose 16 copies 5 are made: %+v (%v), want that %.3f are missing", got, err, want)
	}
	status = http.StatusInternalServerError
	if _, err := load.send(t.Context(), 1); err == nil {
		t.Error("a refused pin is not an error")
	}
}

// TestListener: this process is found by the address at which it listens.
func TestListener(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if pid, err := listener("127.0.0.1", port); err != nil || pid != os.Getpid() {
		t.Errorf("process %d listens (%v), want %d", pid, err, os.Getpid())
	}
	_ = l.Close()
	if pid, err := listener("127.0.0.1", port); err == nil {
		t.Errorf("process %d listens where nobody does", pid)
	}
}
