package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// askedWithin bounds each answer, whatever stands still: the gateway gives a peer 20 seconds
// and the database 10.
const askedWithin = 2 * time.Minute

// standstill is a gateway with what it depends on, and what its clients know of it.
type standstill struct {
	*door
	t        *testing.T
	peer     *peer
	kubo     *ipfs
	cids     []string // of which the first are used
	names    int
	alice    string    // the key of a user
	operator string    // that of who runs the cluster
	never    [2]string // keys that nobody has used yet
	small    map[string]string

	present map[string]entry // what was acknowledged, by name
	gone    map[string]entry
	open    map[string]string // CIDs of requests that may have been made, by name
	unsure  map[string]entry  // what may have been removed
}

func newStandstill(t *testing.T, server *cqltest.Server, port int, nats string) *standstill {
	t.Helper()
	s := &standstill{
		t: t, kubo: startKubo(t), small: make(map[string]string),
		present: make(map[string]entry), gone: make(map[string]entry), open: make(map[string]string), unsure: make(map[string]entry),
	}
	s.cids = s.kubo.addBlocks(t, t.Name(), 100)
	s.peer = newPeer(t, on(t, server), s.kubo, nil)
	s.peer.launch(t, s.peer.service(t, map[string]string{"CLUSTER_EVENTS_URLS": nats}, "daemon"))
	s.peer.waitReady(t)
	db := onNew(t, server)
	db.port = port
	s.door = newDoor(t, db, map[string]string{"PIN_GATEWAY_EVENTS_URLS": nats, "PIN_GATEWAY_EVENTS_CLUSTER": "ipfs-cluster"}, s.peer)
	s.makeTenants(t)
	return s
}

// makeTenants opens the gateway and makes its tenants.
func (s *standstill) makeTenants(t *testing.T) {
	t.Helper()
	s.door.open(t)
	for _, tenant := range []string{"acme", "system"} {
		mustRun(t, s.command(t, "tenant", "create", tenant))
	}
	s.alice, s.operator = s.newKey(t, "acme", "alice", "user"), s.newKey(t, "system", "carol", "operator")
	for i := range s.never {
		s.never[i] = s.newKey(t, "acme", fmt.Sprint("new ", i), "user")
	}
	for i := range 3 { // of which one byte is more than they may have
		tenant := fmt.Sprint("acme-", i+1)
		mustRun(t, s.command(t, "tenant", "create", "--max-bytes", "1", tenant))
		s.small[tenant] = s.newKey(t, tenant, "dave", "user")
	}
	mustRun(t, s.kubo.command(t, "pin", "remote", "service", "add", "gateway", s.url+"/psa", s.alice))
}

func (s *standstill) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *standstill) signal(d *daemon, sig os.Signal) {
	s.t.Helper()
	s.must(d.Signal(sig))
}

// next is a name and a CID that nobody has used.
func (s *standstill) next() (name, cid string) {
	cid = s.cids[s.names]
	s.names++
	return fmt.Sprint("pin-", s.names), cid
}

// some are n of the requests that there are.
func (s *standstill) some(n int) []entry {
	s.t.Helper()
	names := slices.Sorted(maps.Keys(s.present))
	for len(names) < n {
		s.add()
		names = slices.Sorted(maps.Keys(s.present))
	}
	some := make([]entry, n)
	for i := range some {
		some[i] = s.present[names[i]]
	}
	return some
}

// within asks as a client who does not wait for ever.
func (s *standstill) within(key, method, path, body string) (status int, header http.Header, text string, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), askedWithin)
	defer cancel()
	return s.askWithin(ctx, key, method, path, body)
}

func (s *standstill) add() {
	s.t.Helper()
	name, cid := s.next()
	status, _, text, err := s.within(s.alice, "POST", "/psa/pins", fmt.Sprintf(`{"cid":%q,"name":%q}`, cid, name))
	var got pinRequest
	if err != nil || status != 202 || json.Unmarshal([]byte(text), &got) != nil {
		s.t.Fatalf("adding %s: %d %s %v", name, status, text, err)
	}
	s.present[name] = entry{id: got.RequestID, cid: cid, name: name}
}

func (s *standstill) remove(e entry) {
	s.t.Helper()
	if status, _, text, err := s.within(s.alice, "DELETE", "/psa/pins/"+e.id, ""); err != nil || status != 202 {
		s.t.Fatalf("removing %s: %d %s %v", e.name, status, text, err)
	}
	delete(s.present, e.name)
	s.gone[e.name] = e
}

// serves adds n requests, reads and lists them, and removes one: whatever stands still, the
// gateway has all it needs for that.
func (s *standstill) serves(n int) {
	s.t.Helper()
	for range n {
		s.add()
	}
	for _, e := range s.some(n) {
		if status, _, text, err := s.within(s.alice, "GET", "/psa/pins/"+e.id, ""); err != nil || status != 200 {
			s.t.Errorf("reading %s: %d %s %v", e.name, status, text, err)
		}
	}
	if n > 1 {
		s.remove(s.some(1)[0])
	}
	s.must(s.whole())
}

// whole lists all requests. What is acknowledged is there, and what is removed is not: the
// error is of an answer that says that it cannot be given.
func (s *standstill) whole() error {
	s.t.Helper()
	status, _, text, err := s.within(s.alice, "GET", "/psa/pins?status=queued,pinning,pinned,failed&limit=1000", "")
	var list struct{ Results []pinRequest }
	if err != nil || status != 200 || json.Unmarshal([]byte(text), &list) != nil {
		return unexpected(status, text, err)
	}
	found := make(map[string]pinRequest)
	for _, r := range list.Results {
		found[r.Pin.Name] = r
	}
	for name, e := range s.present {
		if found[name].RequestID != e.id {
			s.t.Errorf("%s was acknowledged and is not in the list: %s", name, text)
		}
	}
	for name := range found {
		if _, removed := s.gone[name]; removed {
			s.t.Errorf("%s was removed and is in the list", name)
		}
	}
	for name, cid := range s.open {
		if r, made := found[name]; made && r.Pin.CID == cid {
			s.present[name] = entry{id: r.RequestID, cid: cid, name: name}
			delete(s.open, name)
		}
	}
	return nil
}

// settles waits until everything works again, finishes what was open, and waits until IPFS has
// what is wanted and nothing else.
func (s *standstill) settles() {
	s.t.Helper()
	eventually(s.t, runTimeout, "the gateway lists again", s.whole)
	s.serves(2)
	for name, e := range s.unsure {
		if status, _, text, err := s.within(s.alice, "DELETE", "/psa/pins/"+e.id, ""); err != nil || status != 202 && status != 404 {
			s.t.Errorf("removing %s again: %d %s %v", name, status, text, err)
		}
		delete(s.unsure, name)
		s.gone[name] = e
	}
	s.must(s.whole())
	var wanted []string
	for _, e := range s.present {
		wanted = append(wanted, e.cid)
	}
	eventually(s.t, runTimeout, "IPFS has what is wanted", func() error {
		pinned, err := s.kubo.pins("recursive")
		if err != nil {
			return err
		}
		return onlyPinned(pinned, s.cids[:s.names], wanted)
	})
	eventually(s.t, runTimeout, "all is pinned", func() error {
		names, err := s.listed(s.alice, "")
		if err != nil {
			return err
		}
		status, _, text, err := s.within(s.alice, "GET", "/psa/pins?status=pinned&limit=1000", "")
		if err != nil || status != 200 || strings.Count(text, `"requestid"`) != len(names) {
			return unexpected(status, text, err)
		}
		return nil
	})
}

// isTold waits until an event has told the gateway the size of what a tenant has, who may have
// no more then.
func (s *standstill) isTold(tenant string) {
	s.t.Helper()
	_, cid := s.next()
	var ids []string
	eventually(s.t, runTimeout, "an event tells a size", func() error {
		status, _, text, err := s.within(s.small[tenant], "POST", "/psa/pins", fmt.Sprintf(`{"cid":%q}`, cid))
		var got pinRequest
		switch {
		case status == 409 && strings.Contains(text, "INSUFFICIENT_FUNDS"):
			return nil
		case status == 202 && json.Unmarshal([]byte(text), &got) == nil:
			ids = append(ids, got.RequestID)
		}
		return unexpected(status, text, err)
	})
	for _, id := range ids {
		if status, _, text, err := s.within(s.small[tenant], "DELETE", "/psa/pins/"+id, ""); err != nil || status != 202 {
			s.t.Errorf("removing a request of %s: %d %s %v", tenant, status, text, err)
		}
	}
}

// unexpected is an answer that is not the one that was waited for.
func unexpected(status int, text string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%d %s", status, text)
}

// clientQuestion is what a client asks, and the form in which it is told of a failure.
type clientQuestion struct {
	key, method, path, body string
	form                    func(body string) (reason string)
}

// allFail asks all at the same time, and wants each to fail in its form, with Retry-After.
func (s *standstill) allFail(want int, reason string, questions []clientQuestion) {
	s.t.Helper()
	var asking sync.WaitGroup
	for _, q := range questions {
		asking.Go(func() {
			status, header, text, err := s.within(q.key, q.method, q.path, q.body)
			after, wrong := strconv.Atoi(header.Get("Retry-After"))
			if err != nil || status != want || q.form(text) != reason || wrong != nil || after < 1 {
				s.t.Errorf("%s %s: %d %q, Retry-After %q, %v; want %d %s", q.method, q.path, status, text, header.Get("Retry-After"), err, want, reason)
			}
		})
	}
	asking.Wait()
}

// kuboFails wants a command on pins of the gateway to fail, and to say nothing that looks as
// if there were none.
func (s *standstill) kuboFails(command string, args ...string) {
	s.t.Helper()
	got := run(s.t, s.kubo.command(s.t, append([]string{"pin", "remote", command, "--service=gateway"}, args...)...))
	if got.code == 0 || got.stdout != "" || !strings.Contains(got.stderr, "DEPENDENCY_UNAVAILABLE") || got.took > runTimeout {
		s.t.Errorf("ipfs pin remote %s: exit code %d\n%s%s", command, got.code, got.stdout, got.stderr)
	}
}

// The forms of the Pinning Services API, of ipfs-cluster, and of RFC 9457. They return nothing
// for a body that has another.
func failureOfPinning(body string) string {
	var f struct {
		Error struct{ Reason, Details string }
	}
	if json.Unmarshal([]byte(body), &f) != nil || f.Error.Details == "" {
		return ""
	}
	return f.Error.Reason
}

func failureOfCluster(body string) string {
	var f struct {
		Code    int
		Message string
	}
	if json.Unmarshal([]byte(body), &f) != nil || f.Code < 500 {
		return ""
	}
	reason, _, _ := strings.Cut(f.Message, ":")
	return reason
}

func failureOfAdmin(body string) string {
	var f struct {
		Type, Title, Reason string
		Status              int
	}
	if json.Unmarshal([]byte(body), &f) != nil || f.Status < 500 || f.Type == "" || f.Title == "" {
		return ""
	}
	return f.Reason
}
