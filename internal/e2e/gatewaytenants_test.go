package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	for last := false; !last; {
		c.wait(20 + rand.Int64N(100))
		d := c.doors[rand.IntN(len(c.doors))]
		d.Kill()
		killed++
		if last = killed >= kills && time.Since(began) >= load; last {
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
