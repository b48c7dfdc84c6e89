package service

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/drift"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestDriftNotKnown: what cannot be measured ends with 2, which is not the code of drift.
func TestDriftNotKnown(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "init", "--consensus", "crdt")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "this peer has no scylla state"},
		{[]string{"x"}, `"x" is not one`},
		{[]string{"--examples", "-1"}, "--examples"},
		{[]string{"--grace", "-1s"}, "--grace"},
	} {
		got := run(t, folder, "", append([]string{"state", "drift"}, tt.args...)...)
		if got.code != driftNotKnown || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%v: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// TestDriftRepairNeedsDaemon: without a daemon nothing is repaired, and nothing is asked.
func TestDriftRepairNeedsDaemon(t *testing.T) {
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla")
	got := run(t, folder, "", "state", "drift", "--repair")
	if got.code != driftNotKnown || !strings.Contains(got.stderr, "--repair needs the daemon of this peer") {
		t.Errorf("%+v", got)
	}
}

// TestDriftPrint shows what is printed.
func TestDriftPrint(t *testing.T) {
	cid := statetest.Cid("a").String()
	r := driftReport{
		Peer: statetest.Peer("self"), Desired: 200, Missing: 3, WrongMode: 1, Ratio: 0.02, InFlight: 5, Others: 7, Kept: 2, Unreadable: 1, Recovering: 4,
		Examples: map[drift.Kind][]string{drift.Missing: {cid}, drift.WrongMode: {cid}},
	}
	var out bytes.Buffer
	table := newTable(&out)
	r.print(table)
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `peer         ` + r.Peer.String() + `
desired      200 pins
missing      3
             ` + cid + `
             and 2 more
extra        0
wrong_mode   1
             ` + cid + `
drift        2.0000% of what is desired
not counted  5 in flight, 7 pinned by others, 2 that unpin_disable keeps, 1 whose pin cannot be decoded
recovering   4
`
	if out.String() != want {
		t.Errorf("it prints\n%s\nwant\n%s", out.String(), want)
	}
}

// TestDriftProgress: a long run says how far it has come, and not too often.
func TestDriftProgress(t *testing.T) {
	var out bytes.Buffer
	p := &driftProgress{w: &out, every: time.Hour, last: time.Now()}
	p.tick(drift.Progress{Listed: 1})
	p.last = time.Now().Add(-2 * time.Hour)
	p.tick(drift.Progress{Listed: 4096})
	p.tick(drift.Progress{Listed: 8192})
	p.last = time.Now().Add(-2 * time.Hour)
	p.tick(drift.Progress{Listed: 9000, Done: 0.42})
	if want := "IPFS has listed 4096 pins\n42% is compared with the 9000 pins of IPFS\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
}

// TestDaemonAPI: the daemon is asked as its API wants it, and only if it is the one.
func TestDaemonAPI(t *testing.T) {
	self, c := statetest.Peer("self"), statetest.Cid("a")
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked = append(asked, r.Method+" "+r.URL.String()+" "+user+":"+password)
		switch {
		case r.URL.Path == "/id":
			_, _ = w.Write([]byte(`{"id":"` + self.String() + `"}`))
		case strings.Contains(r.URL.Path, c.String()):
			_, _ = w.Write([]byte(`{}`))
		default:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"code":500,"message":"the queue is full"}`))
		}
	}))
	defer server.Close()
	addr, err := manet.FromNetAddr(server.Listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client, err := dialing(addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemonAPI{client: client, user: "u", password: "p"}
	ctx := context.Background()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{d.check(ctx, self), ""},
		{d.check(ctx, peer.ID("other")), "is another one, " + self.String()},
		{d.recover(ctx, c), ""},
		{d.recover(ctx, statetest.Cid("b")), "the queue is full"},
	} {
		if (tt.err == nil) != (tt.want == "") || tt.err != nil && !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("the error is %v, want %q", tt.err, tt.want)
		}
	}
	if len(asked) != 4 || asked[0] != "GET /id u:p" || asked[2] != "POST /pins/"+c.String()+"/recover?local=true u:p" {
		t.Errorf("asked for %q", asked)
	}
	server.Close()
	if err := d.recover(ctx, c); err == nil {
		t.Error("no error without a daemon")
	}
}
