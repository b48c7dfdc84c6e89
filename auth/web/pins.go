package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

const (
	// perPage is how many pins a page shows.
	perPage = 25
	// timeForm is how a link names the moment that a page goes on before.
	timeForm = "2006-01-02T15:04:05.000Z07:00"
)

// addView is the form that adds a pin.
type addView struct {
	CID, Name string
	// Problem is what was wrong with it, empty at first.
	Problem string
}

// pinsView is the page of pins.
type pinsView struct {
	Add addView
	// Search and Status are the filter, and Statuses what one can choose.
	Search, Status string
	Statuses       []pins.Status
	// Problem is why there is no list.
	Problem string
	Pins    []pins.Request
	Count   int
	More    bool // there are more than Count
	// Older and Newest are links to other pages, empty if there are none.
	Older, Newest string
	// Done is what was just done: "added", "removed" or "".
	Done string
}

func (p *Pages) pins(w http.ResponseWriter, c *door.Call) error {
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	view := pinsView{Statuses: []pins.Status{pins.Queued, pins.Pinning, pins.Pinned, pins.Failed}}
	query, err := view.read(c.Request.URL.Query())
	if err != nil {
		return err
	}
	status := http.StatusOK
	found, err := p.config.Pins.List(c.Request.Context(), c.Principal.Tenant, query)
	if err = pinapi.Problem(err); err != nil {
		problem, ok := said(err)
		if !ok {
			return err
		}
		view.Problem, status = problem, statusOf(err)
	}
	view.Pins, view.Count, view.More = found.Results, found.Count, !found.Exact
	if !query.Before.IsZero() {
		view.Newest = view.link(time.Time{})
	}
	if n := len(found.Results); n > 0 && found.Count > n {
		view.Older = view.link(found.Results[n-1].Created)
	}
	return p.show(w, status, "pins", p.page(c, "Pins", "pins", view))
}

// read reads the query of the page.
func (v *pinsView) read(values url.Values) (q pins.Query, err error) {
	fields := make(map[string]string)
	for _, name := range []string{"q", "status", "before", "done"} {
		if fields[name], err = one(values, name); err != nil {
			return q, err
		}
	}
	v.Search, v.Status = fields["q"], fields["status"]
	if done := fields["done"]; done == "added" || done == "removed" {
		v.Done = done
	}
	q.Limit = perPage
	if v.Status != "" {
		if !slices.Contains(v.Statuses, pins.Status(v.Status)) {
			return q, door.Invalid("%.50q is not a status", v.Status)
		}
		q.Statuses = []pins.Status{pins.Status(v.Status)}
	}
	if before := fields["before"]; before != "" {
		if q.Before, err = time.Parse(timeForm, before); err != nil {
			return q, door.Invalid("%.50q is not a moment", before)
		}
	}
	if v.Search == "" {
		return q, nil
	}
	if cid, err := pinapi.CID(v.Search); err == nil {
		q.CIDs = []string{cid}
	} else {
		q.Name, q.Match = v.Search, pins.IPartial
	}
	return q, nil
}

// link is that to the page with the same filter, of pins that are older.
func (v *pinsView) link(before time.Time) string {
	values := make(url.Values)
	if v.Search != "" {
		values.Set("q", v.Search)
	}
	if v.Status != "" {
		values.Set("status", v.Status)
	}
	if !before.IsZero() {
		values.Set("before", before.UTC().Format(timeForm))
	}
	if len(values) == 0 {
		return Home
	}
	return Home + "?" + values.Encode()
}

func (p *Pages) addPin(w http.ResponseWriter, c *door.Call) error {
	if err := readForm(w, c.Request); err != nil {
		return err
	}
	var add addView
	err := add.read(c.Request.PostForm)
	if err == nil {
		err = p.create(c, add)
	}
	if problem, ok := said(err); ok {
		add.Problem = problem
		return p.show(w, statusOf(err), "addpin", p.page(c, "Add a pin", "pins", add))
	}
	if err != nil {
		return err
	}
	goTo(w, Home+"?done=added")
	return nil
}

func (v *addView) read(values url.Values) (err error) {
	if v.CID, err = one(values, "cid"); err != nil {
		return err
	}
	v.Name, err = one(values, "name")
	return err
}

// create makes a pin of who asks.
func (p *Pages) create(c *door.Call, add addView) error {
	cid, err := pinapi.CID(add.CID)
	if err != nil {
		return err
	}
	wanted := pins.NewRequest{Tenant: c.Principal.Tenant, Owner: c.Principal.ID, CID: cid, Name: add.Name}
	step := door.Step{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}
	return c.Do(http.StatusSeeOther, []door.Step{step}, func(ctx context.Context) (string, error) {
		made, err := p.config.Pins.Create(ctx, wanted)
		return made.ID, pinapi.Problem(err)
	})
}

// find returns the pin that the path names.
func (p *Pages) find(c *door.Call) (pins.Request, error) {
	found, err := p.config.Pins.Get(c.Request.Context(), c.Principal.Tenant, c.Route.Vars["pin"])
	return found, pinapi.Problem(err)
}

func (p *Pages) askRemovePin(w http.ResponseWriter, c *door.Call) error {
	found, err := p.find(c)
	if err != nil {
		return err
	}
	if err := c.Allow(pinapi.Made(found)); err != nil {
		return err
	}
	return p.show(w, http.StatusOK, "removepin", p.page(c, "Remove a pin", "pins", found))
}

func (p *Pages) removePin(w http.ResponseWriter, c *door.Call) error {
	found, err := p.find(c)
	if err != nil {
		return err
	}
	step := door.Step{Action: c.Route.Action, Resource: pinapi.Made(found)}
	err = c.Do(http.StatusSeeOther, []door.Step{step}, func(ctx context.Context) (string, error) {
		return "", pinapi.Problem(p.config.Pins.Remove(ctx, c.Principal.Tenant, found.ID))
	})
	if err != nil {
		return err
	}
	goTo(w, Home+"?done=removed")
	return nil
}
