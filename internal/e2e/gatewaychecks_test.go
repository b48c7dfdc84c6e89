package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// recounted bounds a recount, which waits for 5 minutes and 40 seconds.
const recounted = 10 * time.Minute

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
