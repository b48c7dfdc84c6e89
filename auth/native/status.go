package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

const (
	retryAfter = 2 * time.Second
	// maxAnswer bounds an answer of a peer that is read here, in bytes.
	maxAnswer = 16 << 20
	// maxAsked is of how many CIDs a peer is asked at a time.
	maxAsked = 100
	// maxCIDs bounds a client's list of CIDs.
	maxCIDs = 1000
)

func (a *API) status(w http.ResponseWriter, c *door.Call) error {
	if _, err := parseQuery(c); err != nil {
		return err
	}
	all, err := a.held(c)
	if err != nil {
		return err
	}
	if err := c.Allow(pinapi.Made(all[0])); err != nil {
		return err
	}
	infos, err := a.infos(c.Request.Context(), all[:1])
	if err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusOK, contentType, infos[all[0].CID].ofRequest(all[0]))
	return nil
}

// statusAll lists what peers do with the pins of the tenant, or with those of some CIDs.
func (a *API) statusAll(w http.ResponseWriter, c *door.Call) error {
	values, err := parseQuery(c)
	if err != nil {
		return err
	}
	wanted, err := parseFilter(values.Get("filter"))
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	out := newStream(w)
	send := func(page []pins.Request) error {
		for some := range slices.Chunk(page, maxAsked) {
			infos, err := a.infos(c.Request.Context(), some)
			if err != nil {
				return err
			}
			matching := make(map[string]bool, len(infos))
			for cid, info := range infos { // all before the first is sent: what is cut has no status
				if matching[cid], err = wanted.matches(info); err != nil {
					return unusable(err)
				}
			}
			for _, r := range some {
				if !matching[r.CID] {
					continue
				}
				if err := out.send(infos[r.CID].ofRequest(r)); err != nil {
					return err
				}
			}
			if err := out.flush(); err != nil {
				return err
			}
		}
		return nil
	}
	if text := values.Get("cids"); text != "" {
		page, err := a.ofCIDs(c, text)
		if err != nil {
			return err
		}
		if err := send(page); err != nil {
			return err
		}
		return out.flush()
	}
	return a.each(c, maxAsked, send, out)
}

// ofCIDs are the newest requests of the tenant for each of some CIDs.
func (a *API) ofCIDs(c *door.Call, text string) (page []pins.Request, err error) {
	texts := strings.Split(text, ",")
	if len(texts) > maxCIDs {
		return nil, door.Invalid("%d CIDs are more than %d", len(texts), maxCIDs)
	}
	for _, one := range texts {
		cid, err := pinapi.CID(one)
		if err != nil {
			return nil, err
		}
		all, err := a.pins.OfCID(c.Request.Context(), c.Principal.Tenant, cid)
		if err != nil {
			return nil, pinapi.Problem(err)
		}
		page = append(page, all[:min(len(all), 1)]...)
	}
	return page, nil
}

// infos asks a peer what the cluster does with the CIDs of requests.
func (a *API) infos(ctx context.Context, of []pins.Request) (map[string]peerInfo, error) {
	wanted := make(map[string]bool)
	for _, r := range of {
		wanted[r.CID] = true
	}
	answer, err := a.ask(ctx, peerapi.Request{
		Method: http.MethodGet, Path: "/pins", Query: url.Values{"cids": {strings.Join(slices.Sorted(maps.Keys(wanted)), ",")}}, Allowed: []string{"cids"},
	})
	if err != nil {
		return nil, err
	}
	if answer.status != http.StatusOK {
		return nil, unusable(fmt.Errorf("a peer was asked for statuses and answered %d: %.500s", answer.status, &answer.body))
	}
	infos := make(map[string]peerInfo)
	decoder := json.NewDecoder(&answer.body)
	for {
		var p peerInfo
		err := decoder.Decode(&p)
		switch {
		case errors.Is(err, io.EOF):
			// What a peer leaves out is an error, and not a pin that nobody knows.
			if len(infos) < len(wanted) {
				return nil, unusable(fmt.Errorf("a peer was asked for %d CIDs and told of %d", len(wanted), len(infos)))
			}
			return infos, nil
		case err != nil:
			return nil, unusable(fmt.Errorf("reading the statuses that a peer sends: %w", err))
		}
		cid, err := pinapi.CID(p.CID)
		if err != nil || !wanted[cid] {
			return nil, unusable(fmt.Errorf("a peer told of %.100q, which it was not asked for", p.CID))
		}
		infos[cid] = p
	}
}
