package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// entry is a request of a tenant as one of its clients knows it.
type entry struct {
	id, cid, name string
	// made and removed say that this was acknowledged, and not only seen later.
	made, removed bool
}

// tenantClient is one of the clients of a tenant: it makes, replaces and removes requests at any
// of the instances, for CIDs that all clients of all tenants share. Names of requests are
// used once. When the outcome of something is open, it reads what became of it.
type tenantClient struct {
	t             *testing.T
	ctx           context.Context // of the load
	tenant, key   string
	name          string
	doors         []*door
	cids          []string
	tally         *tally
	names         int
	present, gone []entry
	// open are requests of which it is not known whether they were made, CIDs by name.
	open map[string]string
}

// tally is what all clients have done.
type tally struct {
	acknowledged, seen, cut, failed atomic.Int64
}

func (t *tally) String() string {
	return fmt.Sprintf("%d changes acknowledged, %d found to be made; %d requests were cut off, %d had an error", t.acknowledged.Load(), t.seen.Load(), t.cut.Load(), t.failed.Load())
}

// work changes requests until stop is closed.
func (c *tenantClient) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-c.ctx.Done():
			return
		default:
		}
		// About half of the CIDs are wanted by nobody at any moment.
		switch some := len(c.present); {
		case some == 0 || some < len(c.cids)/4 && rand.IntN(2) == 0:
			c.add(c.anyCID())
		case rand.IntN(4) == 0:
			c.replace(c.take(), c.anyCID())
		default:
			c.remove(c.take(), false)
		}
	}
}

func (c *tenantClient) anyCID() string { return c.cids[rand.IntN(len(c.cids))] }

// take takes one of the requests that are there.
func (c *tenantClient) take() entry {
	i, last := rand.IntN(len(c.present)), len(c.present)-1
	e := c.present[i]
	c.present[i] = c.present[last]
	c.present = c.present[:last]
	return e
}

// ask asks one of the instances. A status of 0 means that the outcome is open. An instance that
// does not run is left out.
func (c *tenantClient) ask(method, path, body string) (status int, text string) {
	for c.ctx.Err() == nil {
		status, _, text, err := c.doors[rand.IntN(len(c.doors))].ask(c.key, method, path, body)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED): // it was not sent
			<-time.After(firstPause)
		case err != nil:
			c.tally.cut.Add(1)
			return 0, ""
		case status >= 500:
			if c.tally.failed.Add(1) <= 10 {
				c.t.Logf("%s %s: %d %s", method, path, status, text)
			}
			return 0, ""
		default:
			return status, text
		}
	}
	return 0, ""
}

// add makes a request.
func (c *tenantClient) add(cid string) { c.make("/psa/pins", cid) }

// make makes a request by a path. It returns whether that was acknowledged.
func (c *tenantClient) make(path, cid string) bool {
	c.names++
	name := fmt.Sprintf("%s %d", c.name, c.names)
	status, text := c.ask("POST", path, fmt.Sprintf(`{"cid":%q,"name":%q}`, cid, name))
	switch status {
	case 202:
		var got pinRequest
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.RequestID == "" {
			c.t.Errorf("%s of %s: %s %v", path, c.name, text, err)
			return false
		}
		c.tally.acknowledged.Add(1)
		c.present = append(c.present, entry{id: got.RequestID, cid: cid, name: name, made: true})
		c.expect(got.RequestID, 200)
		return true
	case 0:
		c.find(cid, name)
	default:
		c.t.Errorf("%s of %s: %d %s", path, c.name, status, text)
	}
	return false
}

// find looks whether a request was made. One that is not found may be made yet.
func (c *tenantClient) find(cid, name string) {
	for c.ctx.Err() == nil {
		status, text := c.ask("GET", "/psa/pins?status=queued,pinning,pinned,failed&name="+url.QueryEscape(name), "")
		if status == 0 {
			continue
		}
		var list struct{ Results []pinRequest }
		if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 || len(list.Results) > 1 {
			c.t.Errorf("the requests with the name %s: %d %s", name, status, text)
		}
		if len(list.Results) == 0 {
			break
		}
		c.tally.seen.Add(1)
		c.present = append(c.present, entry{id: list.Results[0].RequestID, cid: cid, name: name})
		return
	}
	c.open[name] = cid
}

// remove removes a request. After an outcome that is open it may be gone.
func (c *tenantClient) remove(e entry, open bool) {
	for c.ctx.Err() == nil {
		status, text := c.ask("DELETE", "/psa/pins/"+e.id, "")
		switch {
		case status == 0:
			open = true
			continue
		case status == 202:
			c.tally.acknowledged.Add(1)
			e.removed = true
			c.expect(e.id, 404)
		case status == 404 && open:
			c.tally.seen.Add(1)
		default:
			c.t.Errorf("removing %+v of %s: %d %s", e, c.name, status, text)
		}
		c.gone = append(c.gone, e)
		return
	}
	c.t.Errorf("%s has not learnt in time whether %+v is removed", c.name, e)
}

// replace replaces a request by a new one for a CID.
func (c *tenantClient) replace(e entry, cid string) {
	if c.make("/psa/pins/"+e.id, cid) {
		e.removed = true
		c.expect(e.id, 404)
		c.gone = append(c.gone, e)
		return
	}
	c.remove(e, true)
}

// expect fails the test if an instance has not noticed what was acknowledged.
func (c *tenantClient) expect(id string, want int) {
	if status, text := c.ask("GET", "/psa/pins/"+id, ""); status != 0 && status != want {
		c.t.Errorf("what %s was told of %s does not hold: %d %s, want %d", c.name, id, status, text, want)
	}
}
