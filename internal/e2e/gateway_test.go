package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// door is one instance of the gateway.
type door struct {
	url    string
	dir    string
	env    map[string]string
	client *http.Client
	starts int
	// program is the binary, the one that all tests have if it is empty.
	program string
	*daemon
}

// newDoor makes the folder of a gateway, as its init does, with a keyspace of its own.
// Peers are those behind it, and vars are set in its environment.
func newDoor(t *testing.T, db database, vars map[string]string, peers ...*peer) *door {
	t.Helper()
	listen := net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	d := &door{url: "http://" + listen, dir: t.TempDir(), client: newHTTPClient(t)}
	var urls []string
	for _, p := range peers {
		urls = append(urls, p.url)
	}
	d.env = map[string]string{
		"PIN_GATEWAY_LISTEN":            listen,
		"PIN_GATEWAY_SHUTDOWN_DELAY":    "0s",
		"PIN_GATEWAY_PUBLIC_URL":        d.url,
		"PIN_GATEWAY_ENVIRONMENT":       "test",
		"PIN_GATEWAY_DATABASE_HOSTS":    strings.Join(db.hosts, ","),
		"PIN_GATEWAY_DATABASE_PORT":     strconv.Itoa(db.port),
		"PIN_GATEWAY_DATABASE_KEYSPACE": db.keyspace,
		"PIN_GATEWAY_PEERS_URLS":        strings.Join(urls, ","),
	}
	maps.Copy(d.env, vars)
	mustRun(t, d.command(t, "init"))
	return d
}

// another is a second instance: on the same keyspace, with the same secrets.
func (d *door) another(t *testing.T) *door {
	t.Helper()
	listen := net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	other := &door{url: "http://" + listen, dir: d.dir, client: d.client, env: maps.Clone(d.env), program: d.program}
	other.env["PIN_GATEWAY_LISTEN"], other.env["PIN_GATEWAY_AUDIT_WRITER"] = listen, "other"
	return other
}

func (d *door) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path := d.program
	if path == "" {
		path = program(t, gateway)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = d.dir, environ(d.dir, d.env)
	return cmd
}

// serving is what a gateway logs when it takes requests.
var serving = regexp.MustCompile(`gateway.*serving http`)

// open runs the gateway until the test ends, or close is called.
func (d *door) open(t *testing.T) {
	t.Helper()
	d.starts++
	d.daemon = start(t, filepath.Join(d.dir, fmt.Sprintf("gateway-%s-%d.log", filepath.Base(d.url), d.starts)), d.command(t, "serve"))
	eventually(t, readyTimeout, "the gateway serves", func() error { return d.logged(t, serving, 1) })
}

// close ends it as a user does.
func (d *door) close(t *testing.T) {
	t.Helper()
	if code, _ := d.interrupt(t, os.Interrupt); code != 0 {
		t.Errorf("the gateway ended with code %d:\n%s", code, tail(d.text(t)))
	}
}

// newKey makes a key of a principal in a role.
func (d *door) newKey(t *testing.T, tenant, owner, role string) string {
	t.Helper()
	return strings.TrimSpace(mustRun(t, d.command(t, "key", "create", "--tenant", tenant, "--owner", owner, "--role", role, "--scope", "*")).stdout)
}

// ask sends a request with a credential and returns the answer.
func (d *door) ask(key, method, path, body string) (status int, header http.Header, text string, err error) {
	return d.askWithin(context.Background(), key, method, path, body)
}

// askWithin is ask of a client who waits until ctx ends.
func (d *door) askWithin(ctx context.Context, key, method, path, body string) (status int, header http.Header, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := d.client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(out), err
}

// must is ask for an answer with a status.
func (d *door) must(t *testing.T, key, method, path, body string, want int) string {
	t.Helper()
	status, _, text, err := d.ask(key, method, path, body)
	if err != nil || status != want {
		t.Fatalf("%s %s: %d %s %v, want %d", method, path, status, text, err, want)
	}
	return text
}

// pinRequest is what is read of a pin of the Pinning Services API.
type pinRequest struct {
	RequestID string
	Status    string
	Pin       struct{ CID, Name string }
	Delegates []string
	Info      map[string]string
}

func (d *door) pin(t *testing.T, key, cid, name string) pinRequest {
	t.Helper()
	var got pinRequest
	text := d.must(t, key, "POST", "/psa/pins", fmt.Sprintf(`{"cid":%q,"name":%q}`, cid, name), 202)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// listed are the names of a tenant's requests in all states, newest first.
func (d *door) listed(key, query string) (names []string, err error) {
	status, _, text, err := d.ask(key, "GET", "/psa/pins?status=queued,pinning,pinned,failed&limit=1000"+query, "")
	if err != nil {
		return nil, err
	}
	var list struct{ Results []pinRequest }
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 {
		return nil, fmt.Errorf("%d %s", status, text)
	}
	for _, r := range list.Results {
		names = append(names, r.Pin.Name)
	}
	return names, nil
}

// TestGateway: two tenants use Kubo's client at two instances of the gateway, before a peer
// with a real Kubo. Each sees its own at once, content that both want stays until none does,
// and everything is on record.
func TestGateway(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	swarm := startSwarm(t, 2)
	user, k := swarm[0], swarm[1]
	p := newPeer(t, on(t, server), k, nil)
	p.start(t)
	p.waitReady(t)
	cids := user.addBlocks(t, t.Name(), 4)
	d := newDoor(t, onNew(t, server), nil, p)
	d.open(t)
	mustRun(t, d.command(t, "tenant", "create", "acme"))
	mustRun(t, d.command(t, "tenant", "create", "other"))
	alice, bob := d.newKey(t, "acme", "alice", "user"), d.newKey(t, "other", "bob", "user")
	viewer := d.newKey(t, "acme", "eve", "viewer")
	second := d.another(t)
	second.open(t)

	for service, of := range map[string]struct{ at, key string }{"alice": {d.url, alice}, "bob": {second.url, bob}} {
		mustRun(t, user.command(t, "pin", "remote", "service", "add", service, of.at+"/psa", of.key))
	}
	for i, cid := range cids[:2] {
		got := mustRun(t, user.command(t, "pin", "remote", "add", "--service=alice", fmt.Sprint("--name=pin ", i), cid))
		if !strings.Contains(got.stdout, cid) || !strings.Contains(got.stdout, "pinned") {
			t.Errorf("ipfs pin remote add: %s%s", got.stdout, got.stderr)
		}
	}
	if list := mustRun(t, user.command(t, "pin", "remote", "ls", "--service=bob", "--status=queued,pinning,pinned,failed")); list.stdout != "" {
		t.Errorf("bob sees\n%s", list.stdout)
	}
	mustRun(t, user.command(t, "pin", "remote", "add", "--service=bob", "--name=bob's", cids[0]))

	// What one instance has acknowledged the other knows, at once.
	made := d.pin(t, alice, cids[2], "at once")
	if names, err := second.listed(alice, ""); err != nil || strings.Join(names, ",") != "at once,pin 1,pin 0" {
		t.Errorf("the second instance lists %q, %v", names, err)
	}
	second.must(t, alice, "GET", "/psa/pins/"+made.RequestID, "", 200)
	second.must(t, bob, "GET", "/psa/pins/"+made.RequestID, "", 404)
	second.must(t, bob, "DELETE", "/psa/pins/"+made.RequestID, "", 404)
	second.must(t, viewer, "DELETE", "/psa/pins/"+made.RequestID, "", 403)
	second.must(t, alice, "GET", "/psa/pins/"+made.RequestID, "", 200)
	d.must(t, "", "GET", "/psa/pins", "", 401)
	d.must(t, alice+"x", "GET", "/psa/pins", "", 401)
	d.must(t, alice, "GET", "/cluster/peers", "", 403)

	// By the cluster's own API, one sees the same pins, and only those.
	if text := d.must(t, bob, "GET", "/cluster/allocations", "", 200); strings.Count(text, "\n") != 1 || !strings.Contains(text, "bob's") {
		t.Errorf("bob's allocations are %s", text)
	}
	if text := d.must(t, bob, "GET", "/cluster/pins/"+cids[0], "", 200); !strings.Contains(text, `"status":"pinned"`) || strings.Contains(text, "pin 0") {
		t.Errorf("the status of bob's pin is %s", text)
	}
	d.must(t, bob, "GET", "/cluster/pins/"+cids[1], "", 404)

	// What both want stays until none does.
	mustRun(t, user.command(t, "pin", "remote", "rm", "--service=alice", "--name=pin 0"))
	mustRun(t, user.command(t, "pin", "remote", "rm", "--service=alice", "--name=pin 1"))
	eventually(t, readyTimeout, "what nobody wants is unpinned", func() error { return onlyPinned(k.pinned(t), cids, []string{cids[0], cids[2]}) })
	mustRun(t, user.command(t, "pin", "remote", "rm", "--service=bob", "--name=bob's"))
	eventually(t, readyTimeout, "the last one is gone", func() error { return onlyPinned(k.pinned(t), cids, cids[2:3]) })

	second.close(t)
	d.close(t)
	d.checkRecords(t)
	p.stop(t)
}

// checkRecords verifies the audit log, in which each request has its record.
func (d *door) checkRecords(t *testing.T) {
	t.Helper()
	mustRun(t, d.command(t, "audit", "verify", "--folder", "audit", "--key", "audit-public.pem"))
	found := mustRun(t, d.command(t, "audit", "search", "--folder", "audit", "--json")).stdout
	for _, want := range []string{`"action":"pins:create"`, `"action":"pins:delete"`, `"verdict":"denied"`} {
		if !strings.Contains(found, want) {
			t.Errorf("the records lack %s:\n%.2000s", want, found)
		}
	}
}

// TestGatewayOutages: what fails behind the gateway is an error for its clients, in the form
// of the API, and never an empty answer. Pins are taken while no peer answers, and made when
// one does again.
func TestGatewayOutages(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	k := startKubo(t)
	cids := k.addBlocks(t, t.Name(), 2)
	p := newPeer(t, on(t, server), k, nil)
	p.start(t)
	p.waitReady(t)
	d := newDoor(t, onNew(t, server), nil, p)
	d.open(t)
	mustRun(t, d.command(t, "tenant", "create", "acme"))
	key := d.newKey(t, "acme", "alice", "user")
	d.pin(t, key, cids[0], "before")
	p.daemon.Kill()
	made := d.pin(t, key, cids[1], "without a peer")
	if names, err := d.listed(key, ""); err != nil || len(names) != 2 {
		t.Errorf("without a peer there are %q, %v", names, err)
	}
	status, header, text, err := d.ask(key, "GET", "/cluster/pins", "")
	if err != nil || status != 502 || header.Get("Retry-After") == "" || !strings.Contains(text, "UPSTREAM_UNAVAILABLE") {
		t.Errorf("the status without a peer: %d %s %v", status, text, err)
	}
	p.start(t)
	p.waitReady(t)
	eventually(t, readyTimeout, "the pin is made when there is a peer", func() error {
		var got pinRequest
		text := d.must(t, key, "GET", "/psa/pins/"+made.RequestID, "", 200)
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			return err
		}
		if got.Status != "pinned" {
			return errors.New(text)
		}
		return nil
	})
	d.close(t)
	p.stop(t)
}
