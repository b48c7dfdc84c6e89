package api

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
)

const (
	// pins and mostPins are how many a page has.
	pins, mostPins = 100, 1000
)

// pinView is a claim as it is answered.
type pinView struct {
	RequestID string    `json:"request_id"`
	Cid       string    `json:"cid"`
	Name      string    `json:"name,omitempty"`
	Accepted  time.Time `json:"accepted"`
	Pinned    time.Time `json:"pinned,omitzero"`
	Removed   time.Time `json:"removed,omitzero"`
	Replicas  int       `json:"replicas"`
	// Size is that of one copy in bytes, 0 for one that is not known.
	Size int64 `json:"size"`
	// Bytes is how many count while it is held.
	Bytes number `json:"bytes"`
	// Unsized says that it counts, and that no size is known: it counts as a pin alone so far.
	Unsized bool `json:"unsized"`
	// Conflict says that what was told of it does not agree: somebody looks into it.
	Conflict bool `json:"conflict"`
}

func (a *API) viewOfClaim(c ledger.Claim) pinView {
	d := c.Data()
	v := pinView{
		RequestID: d.RequestID, Cid: d.Cid, Name: d.Name, Accepted: d.Accepted, Pinned: d.Pinned, Removed: d.Removed,
		Replicas: d.Replicas, Size: d.Size, Unsized: claim.Unsized(d, a.config.Policy), Conflict: len(c.Conflicts()) > 0,
	}
	if d.Owner == claim.Suspense {
		d.Owner = ""
	}
	facts, err := claim.Facts(d, a.config.Policy)
	if err != nil { // it was put aside, and counts for nothing
		v.Conflict = true
	}
	if i := slices.IndexFunc(facts, func(f claim.Fact) bool { return f.Kind == claim.KindSize }); i >= 0 {
		v.Bytes = number{facts[i].Bytes}
	}
	return v
}

// pins answers with the claims of an owner, in an order that stays.
func (a *API) pins(w http.ResponseWriter, c *call) error {
	if err := c.known("limit", "cursor", "format"); err != nil {
		return err
	}
	limit, err := c.limit(pins, mostPins)
	if err != nil {
		return err
	}
	var after ledger.Place
	place, err := c.cursor("pins", 2)
	if err != nil {
		return err
	}
	if place != nil {
		if after.Bucket, err = strconv.Atoi(place[0]); err != nil || after.Bucket < 0 {
			return errCursor()
		}
		after.RequestID = place[1]
	}
	found, more, err := a.config.Ledger.ClaimsAfter(c.Context(), c.owner, after, limit)
	if err != nil {
		return err
	}
	var p page[pinView]
	for _, one := range found {
		p.Items = append(p.Items, a.viewOfClaim(one))
	}
	if more {
		last := found[len(found)-1].PlaceOf()
		p.Next = cursorOf("pins", strconv.Itoa(last.Bucket), last.RequestID)
	}
	return list(a, w, c, p, []string{"request_id", "cid", "name", "accepted", "pinned", "removed", "replicas", "size", "bytes", "unsized", "conflict"},
		func(v pinView) []any {
			return []any{v.RequestID, v.Cid, v.Name, v.Accepted, v.Pinned, v.Removed, v.Replicas, v.Size, v.Bytes, v.Unsized, v.Conflict}
		})
}
