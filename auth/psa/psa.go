package psa

import (
	"context"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// contentType is that of every answer.
const contentType = "application/json"

// Pins are the requests of all tenants. pins.Service is.
type Pins interface {
	Create(ctx context.Context, n pins.NewRequest) (pins.Request, error)
	Get(ctx context.Context, tenant, id string) (pins.Request, error)
	List(ctx context.Context, tenant string, q pins.Query) (pins.Page, error)
	Replace(ctx context.Context, tenant, id string, n pins.NewRequest) (pins.Request, error)
	Remove(ctx context.Context, tenant, id string) error
}

// Config is what the API needs.
type Config struct {
	Pins Pins
	// Delegates are multiaddresses of the cluster's IPFS daemons, for requests of which
	// nobody knows yet where they will be. The specification wants at least one.
	Delegates func() []string
}

// API answers the routes of routes.Pinning.
type API struct {
	config Config
}

// New returns the API as a door serves it.
func New(config Config) door.API {
	a := &API{config: config}
	return door.API{
		Name:  "pinning",
		Table: routes.Pinning(),
		Form:  Form,
		Serve: map[string]door.Serve{
			"ListPins": a.list, "AddPin": a.add, "GetPin": a.get, "ReplacePin": a.replace, "RemovePin": a.remove, "Health": health,
		},
	}
}

// Form writes a Problem as the specification's Failure. The id of the request is in the
// header X-Request-Id.
func Form(w http.ResponseWriter, p *door.Problem, _ string) {
	door.WriteJSON(w, p.Status, contentType, failure{failureError{Reason: p.Reason, Details: p.Details}})
}

func health(w http.ResponseWriter, _ *door.Call) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) list(w http.ResponseWriter, c *door.Call) error {
	query, err := parseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	page, err := a.config.Pins.List(c.Request.Context(), c.Principal.Tenant, query)
	if err != nil {
		return pinapi.Problem(err)
	}
	out := results{Count: page.Count, Results: make([]pinStatus, len(page.Results))}
	for i, r := range page.Results {
		out.Results[i] = a.statusOf(r)
	}
	door.WriteJSON(w, http.StatusOK, contentType, out)
	return nil
}

func (a *API) add(w http.ResponseWriter, c *door.Call) error {
	wanted, err := parsePin(w, c)
	if err != nil {
		return err
	}
	var made pins.Request
	err = c.Do(http.StatusAccepted, []door.Step{{Action: c.Route.Action, Resource: pinapi.Wanted(wanted)}}, func(ctx context.Context) (string, error) {
		var err error
		made, err = a.config.Pins.Create(ctx, wanted)
		return made.ID, pinapi.Problem(err)
	})
	if err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusAccepted, contentType, a.statusOf(made))
	return nil
}

// find returns the request that the path names.
func (a *API) find(c *door.Call) (pins.Request, error) {
	found, err := a.config.Pins.Get(c.Request.Context(), c.Principal.Tenant, c.Route.Vars["requestID"])
	return found, pinapi.Problem(err)
}

func (a *API) get(w http.ResponseWriter, c *door.Call) error {
	found, err := a.find(c)
	if err != nil {
		return err
	}
	if err := c.Allow(pinapi.Made(found)); err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusOK, contentType, a.statusOf(found))
	return nil
}

// replace needs the right to both: to take the old one away, and to make the new one.
func (a *API) replace(w http.ResponseWriter, c *door.Call) error {
	wanted, err := parsePin(w, c)
	if err != nil {
		return err
	}
	old, err := a.find(c)
	if err != nil {
		return err
	}
	steps := []door.Step{{Action: c.Route.Action, Resource: pinapi.Made(old)}, {Action: "pins:create", Resource: pinapi.Wanted(wanted)}}
	var made pins.Request
	err = c.Do(http.StatusAccepted, steps, func(ctx context.Context) (string, error) {
		var err error
		made, err = a.config.Pins.Replace(ctx, c.Principal.Tenant, old.ID, wanted)
		return made.ID, pinapi.Problem(err)
	})
	if err != nil {
		return err
	}
	door.WriteJSON(w, http.StatusAccepted, contentType, a.statusOf(made))
	return nil
}

func (a *API) remove(w http.ResponseWriter, c *door.Call) error {
	old, err := a.find(c)
	if err != nil {
		return err
	}
	err = c.Do(http.StatusAccepted, []door.Step{{Action: c.Route.Action, Resource: pinapi.Made(old)}}, func(ctx context.Context) (string, error) {
		return "", pinapi.Problem(a.config.Pins.Remove(ctx, c.Principal.Tenant, old.ID))
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// statusOf is a request as the specification has it.
func (a *API) statusOf(r pins.Request) pinStatus {
	delegates := r.Delegates
	if len(delegates) == 0 {
		delegates = a.config.Delegates()
	}
	if delegates == nil {
		delegates = []string{}
	}
	return pinStatus{
		RequestID: r.ID, Status: string(r.Status), Created: r.Created.UTC().Format(timeForm), Delegates: delegates[:min(len(delegates), maxDelegates)], Info: r.Info,
		Pin: pin{CID: r.CID, Name: r.Name, Origins: r.Origins, Meta: r.Meta},
	}
}

// timeForm has milliseconds, as what clients in JavaScript keep of a time.
const timeForm = "2006-01-02T15:04:05.000Z07:00"
