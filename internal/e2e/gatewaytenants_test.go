package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// quickly are the times by which a gateway finds what a crash has left, a fifth of what they
// are, in the same relations to each other; what fails is tried again without longer and longer
// pauses. An operator cannot set them: they bound how late a request to a peer may take effect.
var quickly = []overlay.Edit{
	{File: "auth/pins/todo.go", Old: "todoAfter = 2 * time.Minute", New: "todoAfter = 24 * time.Second"},
	{File: "auth/pins/todo.go", Old: "todoMost = 64 * time.Minute", New: "todoMost = 24 * time.Second"},
	{File: "auth/pins/todo.go", Old: "slotTime = time.Minute", New: "slotTime = 12 * time.Second"},
	{File: "auth/pins/passes.go", Old: "passLease = 3 * time.Minute", New: "passLease = 24 * time.Second"},
	{File: "auth/pins/usage.go", Old: "placeLife = 5 * time.Minute", New: "placeLife = 15 * time.Second"},
	{File: "auth/pins/service.go", Old: "actMost = 20 * time.Second", New: "actMost = 4 * time.Second"},
	{File: "auth/pins/worker.go", Old: "settleMost = 30 * time.Second", New: "settleMost = 7 * time.Second"},
	{File: "auth/pins/worker.go", Old: "startMost = 20 * time.Second", New: "startMost = 4 * time.Second"},
	{File: "auth/pins/peer.go", Old: "SettleTime = time.Minute", New: "SettleTime = 12 * time.Second"},
}

// recounted bounds a recount, which waits for 5 minutes and 40 seconds.
const recounted = 10 * time.Minute

// contest is two tenants whose clients want the same CIDs and do not want them any more, at two
// instances of the gateway that are killed meanwhile.
type contest struct {
	t       *testing.T
	session *gocql.Session
	db      database // of the gateway
	kubo    *ipfs
	peer    *peer
	doors   []*door
	keys    map[string]string // of tenants
	cids    []string
	clients []*tenantClient
	holder  *tenantClient
	tally   tally
}

// TestGatewayTwoTenants: two tenants add, replace and remove requests for the same CIDs while
// the instances of the gateway are killed at random. What somebody wants all the time stays in
// IPFS all the time. In the end the cluster and IPFS have what is wanted and nothing else,
// lists have what was acknowledged, claims and usage are what lists say, and there is no
// request, and none was removed, without a record of the intent.
func TestGatewayTwoTenants(t *testing.T) {
	t.Parallel()
	cids, load, kills, settles, edits := 100, 5*time.Minute, 0, 12*time.Minute, []overlay.Edit(nil)
	if !longTests() {
		cids, load, kills, settles, edits = 20, 0, 3, 4*time.Minute, quickly
		t.Log("A SLICE ONLY: 20 CIDs, 3 kills and a gateway that looks for what a crash has left 5 times as soon. TEST_LONG=1 tests 100 CIDs for 5 minutes.")
	}
	c := newContest(t, cids, edits)
	stop, end := make(chan struct{}), make(chan struct{})
	var working, watching sync.WaitGroup
	t.Cleanup(working.Wait)
	t.Cleanup(watching.Wait)
	for _, client := range c.clients {
		working.Go(func() { client.work(stop) })
	}
	watching.Go(func() { c.watch(end) })
	began, killed := time.Now(), 0
	for killed < kills || time.Since(began) < load {
		c.wait(20 + rand.Int64N(100))
		d := c.doors[rand.IntN(len(c.doors))]
		d.Kill()
		if killed++; killed >= kills && time.Since(began) >= load {
			close(stop) // the last one is killed in the midst of it
		}
		d.open(t)
	}
	working.Wait()
	t.Logf("%d kills in %s: %s", killed, time.Since(began).Round(time.Second), &c.tally)
	if c.tally.cut.Load() == 0 {
		t.Error("no request was cut off: too few for a test")
	}
	left := time.Now()
	if err := poll(settles, c.settled); err != nil {
		t.Errorf("the cluster does not have what is wanted in %s: %s", settles, err)
	} else {
		t.Logf("all is settled %s later", time.Since(left).Round(time.Second))
	}
	close(end)
	c.checkLists()
	acme, err := c.list("acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.doors {
		d.close(t)
	}
	c.checkUsage("acme", len(acme))
	c.checkRecords()
	c.peer.stop(t)
}

// newContest starts it all, and has CIDs that the first tenant wants all the time.
func newContest(t *testing.T, cids int, edits []overlay.Edit) *contest {
	t.Helper()
	server := cqltest.Start(t)
	c := &contest{t: t, session: server.Session(t), db: onNew(t, server), kubo: startKubo(t), keys: make(map[string]string)}
	c.peer = newPeer(t, on(t, server), c.kubo, nil)
	c.peer.start(t)
	c.cids = c.kubo.addBlocks(t, t.Name(), cids)
	d := newDoor(t, c.db, map[string]string{
		"PIN_GATEWAY_LIMITS_PRINCIPAL_PER_SECOND": "0", "PIN_GATEWAY_LIMITS_TENANT_PER_SECOND": "0", "PIN_GATEWAY_AUDIT_WRITER": "one",
	}, c.peer)
	if edits != nil {
		var err error
		if d.program, err = overlay.Program(t.Context(), "../..", "./cmd/pin-gateway", t.TempDir(), edits, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.peer.waitReady(t)
	d.open(t)
	second := d.another(t)
	second.env["PIN_GATEWAY_AUDIT_FOLDER"] = "audit-other"
	second.open(t)
	c.doors = []*door{d, second}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	const clientsOfTenant = 3
	for tenant, quota := range map[string]string{"acme": "1000000", "other": "0"} {
		mustRun(t, d.command(t, "tenant", "create", "--max-pins", quota, tenant))
		c.keys[tenant] = d.newKey(t, tenant, "of-"+tenant, "user")
		for i := range clientsOfTenant {
			c.clients = append(c.clients, c.client(ctx, tenant, fmt.Sprint(tenant, " ", i)))
		}
	}
	c.holder = c.client(ctx, "acme", "holder")
	for _, cid := range c.held() {
		c.holder.add(cid)
	}
	eventually(t, readyTimeout, "what is held is pinned", func() error { return c.allHeld() })
	return c
}

func (c *contest) client(ctx context.Context, tenant, name string) *tenantClient {
	return &tenantClient{
		t: c.t, ctx: ctx, tenant: tenant, key: c.keys[tenant], name: name, doors: c.doors, cids: c.cids, tally: &c.tally, open: make(map[string]string),
	}
}

// held are the CIDs that one client wants all the time, as others do now and then.
func (c *contest) held() []string { return c.cids[:len(c.cids)/10] }

func (c *contest) allHeld() error {
	pinned, err := c.kubo.pins("recursive")
	if err != nil {
		return err
	}
	for _, cid := range c.held() {
		if !pinned[cid] {
			return fmt.Errorf("%s is wanted all the time, and IPFS does not have it pinned", cid)
		}
	}
	return nil
}

// watch looks until end is closed whether what is held is lost.
func (c *contest) watch(end <-chan struct{}) {
	for {
		select {
		case <-end:
			return
		case <-c.t.Context().Done():
			return
		case <-time.After(lastPause):
		}
		if err := c.allHeld(); err != nil {
			c.t.Error(err)
			return
		}
	}
}

// wait waits until so many changes more are acknowledged.
func (c *contest) wait(n int64) {
	c.t.Helper()
	want := c.tally.acknowledged.Load() + n
	eventually(c.t, runTimeout, "clients work", func() error {
		if got := c.tally.acknowledged.Load(); got < want {
			return fmt.Errorf("%d changes to come", want-got)
		}
		return nil
	})
}

// list returns the requests of a tenant, by name.
func (c *contest) list(tenant string) (map[string]pinRequest, error) {
	status, _, text, err := c.doors[0].ask(c.keys[tenant], "GET", "/psa/pins?status=queued,pinning,pinned,failed&limit=1000", "")
	if err != nil {
		return nil, err
	}
	var list struct {
		Count   int
		Results []pinRequest
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 || list.Count != len(list.Results) {
		return nil, fmt.Errorf("%s has the list %d %s", tenant, status, text)
	}
	all := make(map[string]pinRequest)
	for _, r := range list.Results {
		all[r.Pin.Name] = r
	}
	if len(all) != list.Count {
		return nil, fmt.Errorf("%s has %d requests with %d names", tenant, list.Count, len(all))
	}
	return all, nil
}

// settled returns an error unless the cluster and IPFS have what is in lists and no more, all
// requests say so, and claims are as many as they are.
func (c *contest) settled() error {
	requests := make(map[string]int) // by CID
	for tenant := range c.keys {
		all, err := c.list(tenant)
		if err != nil {
			return err
		}
		for _, r := range all {
			requests[r.Pin.CID]++
			if r.Status != "pinned" {
				return fmt.Errorf("%+v is not pinned", r)
			}
		}
	}
	wanted := slices.Collect(maps.Keys(requests))
	inCluster, err := c.peer.allocations()
	if err != nil {
		return err
	}
	if err := onlyPinned(inCluster, c.cids, wanted); err != nil {
		return fmt.Errorf("in the cluster: %w", err)
	}
	inKubo, err := c.kubo.pins("recursive")
	if err != nil {
		return err
	}
	if err := onlyPinned(inKubo, c.cids, wanted); err != nil {
		return fmt.Errorf("in IPFS: %w", err)
	}
	rows := c.session.Query("SELECT cid, tenant FROM " + c.db.keyspace + ".claims").Iter()
	var cid, tenant string
	for rows.Scan(&cid, &tenant) {
		if tenant != "" {
			requests[cid]--
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for cid, more := range requests {
		if more != 0 {
			return fmt.Errorf("%s has %d requests more than claims", cid, more)
		}
	}
	return nil
}

// checkLists compares what tenants see with what their clients know.
func (c *contest) checkLists() {
	c.t.Helper()
	lists := make(map[string]map[string]pinRequest)
	for tenant := range c.keys {
		all, err := c.list(tenant)
		if err != nil {
			c.t.Fatal(err)
		}
		lists[tenant] = all
		c.t.Logf("%s has %d requests", tenant, len(all))
	}
	appeared := 0
	for _, client := range append(slices.Clone(c.clients), c.holder) {
		list := lists[client.tenant]
		for _, e := range client.present {
			if r, ok := list[e.name]; !ok || r.RequestID != e.id || r.Pin.CID != e.cid {
				c.t.Errorf("%+v is lost: the list has %+v", e, r)
			}
			delete(list, e.name)
		}
		for _, e := range client.gone {
			if r, ok := list[e.name]; ok {
				c.t.Errorf("%+v was removed: the list has %+v", e, r)
				delete(list, e.name)
			}
		}
		for name, cid := range client.open {
			if r, ok := list[name]; ok {
				appeared++
				client.present = append(client.present, entry{id: r.RequestID, cid: cid, name: name})
				delete(list, name)
			}
		}
	}
	for tenant, list := range lists {
		for _, r := range list {
			c.t.Errorf("nobody of %s has made %+v", tenant, r)
		}
	}
	c.t.Logf("%d requests were made after somebody had looked for them", appeared)
}

// checkUsage has a tenant's requests counted, of which places count that were reserved by
// instances that were killed.
func (c *contest) checkUsage(tenant string, requests int) {
	c.t.Helper()
	d := c.doors[0]
	counting := start(c.t, filepath.Join(d.dir, "recount.log"), d.command(c.t, "tenant", "recount", tenant))
	select {
	case <-counting.Exited():
	case <-time.After(recounted):
	}
	counting.Kill()
	if said, want := counting.text(c.t), fmt.Sprintf("pins %d, ", requests); !strings.Contains("\n"+said, "\n"+want) {
		c.t.Errorf("counted are %q, want %s", said, want)
	}
}

// found is what is read of a record.
type found struct {
	Event struct {
		Actor    struct{ Tenant string }
		Action   string
		Resource struct{ ID, CID, Name string }
	}
	Result struct{ Verdict, ResourceID string }
}

// checkRecords verifies the audit logs, and wants the intent of all that was done.
func (c *contest) checkRecords() {
	c.t.Helper()
	made, removed := make(map[string]found), make(map[string]found) // by name, by id
	records, unknown := 0, 0
	for i, folder := range []string{"audit", "audit-other"} {
		d := c.doors[i]
		mustRun(c.t, d.command(c.t, "audit", "verify", "--folder", folder, "--key", "audit-public.pem"))
		text := mustRun(c.t, d.command(c.t, "audit", "search", "--folder", folder, "--json", "--limit", "1000000")).stdout
		for dec := json.NewDecoder(strings.NewReader(text)); dec.More(); records++ {
			var f found
			if err := dec.Decode(&f); err != nil {
				c.t.Fatal(err)
			}
			if f.Result.Verdict == "unknown" {
				unknown++
			}
			r := f.Event.Resource
			if f.Event.Action == "pins:create" || f.Event.Action == "pins:replace" {
				made[r.Name] = f
			}
			if f.Event.Action != "pins:create" && removed[r.ID].Result.Verdict != "success" {
				removed[r.ID] = f
			}
		}
	}
	c.t.Logf("%d records, %d of them without an outcome", records, unknown)
	for _, client := range append(slices.Clone(c.clients), c.holder) {
		for _, e := range slices.Concat(client.present, client.gone) {
			f, ok := made[e.name]
			if !ok || f.Event.Actor.Tenant != client.tenant || f.Event.Resource.CID != e.cid || e.made && (f.Result.Verdict != "success" || f.Result.ResourceID != e.id) {
				c.t.Errorf("%+v was made by %s; on record is %+v", e, client.name, f)
			}
		}
		for _, e := range client.gone {
			f, ok := removed[e.id]
			if !ok || f.Event.Actor.Tenant != client.tenant || e.removed && f.Result.Verdict != "success" {
				c.t.Errorf("%+v was removed by %s; on record is %+v", e, client.name, f)
			}
		}
	}
	if torn, err := filepath.Glob(filepath.Join(c.doors[0].dir, "audit*", "*.torn")); err != nil || len(torn) > 0 {
		c.t.Logf("lines that a kill has left incomplete: %d %v", len(torn), err)
	}
}
