package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// held returns the requests of the tenant for the CID in the path, newest first. None is a
// Problem.
func (a *API) held(c *door.Call) ([]pins.Request, error) {
	cid, err := pinapi.CID(c.Route.Vars["hash"])
	if err != nil {
		return nil, err
	}
	all, err := a.pins.OfCID(c.Request.Context(), c.Principal.Tenant, cid)
	switch {
	case err != nil:
		return nil, pinapi.Problem(err)
	case len(all) == 0:
		return nil, door.Missing()
	}
	return all, nil
}

func (a *API) allocation(w http.ResponseWriter, c *door.Call) error {
	all, err := a.held(c)
	if err != nil {
		return err
	}
	if err := c.Allow(pinapi.Made(all[0])); err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusOK, contentType, toPin(all[0]))
	return nil
}

// pin makes a request for a CID. One that the tenant has already takes the place of the
// newest, as with upstream, where a CID has one pin.
func (a *API) pin(w http.ResponseWriter, c *door.Call) error {
	values, err := parseQuery(c)
	if err != nil {
		return err
	}
	wanted, err := parseOptions(values)
	if err != nil {
		return err
	}
	wanted.Tenant, wanted.Owner = c.Principal.Tenant, c.Principal.ID
	if wanted.CID, err = pinapi.CID(c.Route.Vars["hash"]); err != nil {
		return err
	}
	made, err := a.claim(c, wanted)
	if err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusOK, contentType, toPin(made))
	return nil
}

// claim makes a request, in the place of one that the tenant has for the CID.
func (a *API) claim(c *door.Call, wanted pins.NewRequest) (made pins.Request, err error) {
	before, err := a.pins.OfCID(c.Request.Context(), wanted.Tenant, wanted.CID)
	if err != nil {
		return made, pinapi.Problem(err)
	}
	steps := []door.Step{{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}}
	if len(before) > 0 {
		steps = []door.Step{{Action: "pins:replace", Resource: pinapi.Made(before[0])}, steps[0]}
	}
	err = c.Do(http.StatusOK, steps, func(ctx context.Context) (string, error) {
		var err error
		if len(before) > 0 {
			made, err = a.pins.Replace(ctx, wanted.Tenant, before[0].ID, wanted)
		} else {
			made, err = a.pins.Create(ctx, wanted)
		}
		return made.ID, pinapi.Problem(err)
	})
	return made, err
}

// unpin removes all requests of the tenant for a CID: the CID is not pinned for the tenant
// after. Each one is on record. None is removed if one of them may not be.
func (a *API) unpin(w http.ResponseWriter, c *door.Call) error {
	all, err := a.held(c)
	if err != nil {
		return err
	}
	newest := all[0]
	for len(all) > 0 { // there may be more than are told at once
		steps := make([]door.Step, len(all))
		for i, r := range all {
			steps[i] = door.Step{Action: c.Route.Action, Resource: pinapi.Made(r)}
		}
		if err := c.May(steps); err != nil {
			return err
		}
		for i := range all {
			if err := a.remove(c, steps[i], all[i]); err != nil {
				return err
			}
		}
		if all, err = a.pins.OfCID(c.Request.Context(), newest.Tenant, newest.CID); err != nil {
			return pinapi.Problem(err)
		}
	}
	door.WriteJSON(w, http.StatusOK, contentType, toPin(newest))
	return nil
}

// remove removes one request. It is no error that it has gone already.
func (a *API) remove(c *door.Call, step door.Step, r pins.Request) error {
	return c.Do(http.StatusOK, []door.Step{step}, func(ctx context.Context) (string, error) {
		if err := a.pins.Remove(ctx, r.Tenant, r.ID); err != nil && !errors.Is(err, pins.ErrNotFound) {
			return "", pinapi.Problem(err)
		}
		return "", nil
	})
}

// allocations lists the requests of the tenant, one object after another.
func (a *API) allocations(w http.ResponseWriter, c *door.Call) error {
	if _, err := parseQuery(c); err != nil { // its filter is on types, and all are pins
		return err
	}
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	out := newStream(w)
	return a.each(c, pins.MaxLimit, func(page []pins.Request) error {
		for _, r := range page {
			if err := out.send(toPin(r)); err != nil {
				return err
			}
		}
		return out.flush()
	}, out)
}

// each calls f with all requests of the tenant, page by page, and then begins the answer if
// there were none.
func (a *API) each(c *door.Call, size int, f func([]pins.Request) error, out *stream) error {
	query := pins.Query{Limit: size}
	for {
		page, err := a.pins.List(c.Request.Context(), c.Principal.Tenant, query)
		if err != nil {
			return pinapi.Problem(err)
		}
		if len(page.Results) == 0 {
			return out.flush()
		}
		if err := f(page.Results); err != nil {
			return err
		}
		query.Before = page.Results[len(page.Results)-1].Created
	}
}

// stream is an answer of one JSON object after another, as upstream's lists are.
type stream struct {
	w       http.ResponseWriter
	encoder *json.Encoder
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Chunked-Output", "1")
	return &stream{w, json.NewEncoder(w)}
}

func (s *stream) send(value any) error {
	if err := s.encoder.Encode(value); err != nil {
		return fmt.Errorf("sending a list: %w", err)
	}
	return nil
}

// flush sends what is there, at least the headers.
func (s *stream) flush() error {
	if err := http.NewResponseController(s.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("sending a list: %w", err)
	}
	return nil
}
