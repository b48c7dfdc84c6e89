package native

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

const contentType = "application/json"

// Pins are the requests of all tenants. pins.Service is.
type Pins interface {
	Create(ctx context.Context, n pins.NewRequest) (pins.Request, error)
	List(ctx context.Context, tenant string, q pins.Query) (pins.Page, error)
	CheckOptions(n pins.NewRequest) error
	Room(ctx context.Context, tenant string, bytes int64) error
	OfCID(ctx context.Context, tenant, cid string) ([]pins.Request, error)
	Replace(ctx context.Context, tenant, id string, n pins.NewRequest) (pins.Request, error)
	Remove(ctx context.Context, tenant, id string) error
}

// Peer is the REST API of the cluster. peerapi.Client is.
type Peer interface {
	Forward(ctx context.Context, w http.ResponseWriter, r peerapi.Request) (status int, err error)
}

// Config is what the API needs.
type Config struct {
	Pins Pins
	Peer Peer
	// MaxAddBytes bounds the content that one request adds, in bytes.
	MaxAddBytes int64
}

// API answers the routes of routes.Native.
type API struct {
	pins        Pins
	peer        Peer
	maxAddBytes int64
	uploads     uploads
}

// New returns the API as a door serves it.
func New(conf Config) door.API {
	a := &API{pins: conf.Pins, peer: conf.Peer, maxAddBytes: conf.MaxAddBytes, uploads: uploads{begun: make(map[string]int), atMost: maxUploads}}
	serve := map[string]door.Serve{
		"Add": a.add, "Allocations": a.allocations, "Allocation": a.allocation, "StatusAll": a.statusAll, "Status": a.status,
		"Pin": a.pin, "Unpin": a.unpin, "Health": health,
	}
	for _, route := range routes.Native().Routes() {
		if route.Does == routes.Proxy {
			serve[route.Name] = a.proxy
		}
	}
	return door.API{Name: "native", Table: routes.Native(), Form: Form, Serve: serve}
}

// upstreamError is what upstream's clients expect of an error.
type upstreamError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Form writes a Problem as upstream's error, with the reason before the details.
func Form(w http.ResponseWriter, p *door.Problem, _ string) {
	door.WriteJSON(w, p.Status, contentType, upstreamError{p.Status, p.Reason + ": " + p.Details})
}

func health(w http.ResponseWriter, _ *door.Call) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxBody bounds what is sent on of the body of an operator's request, in bytes.
const maxBody = 64 << 10

// proxy sends the request of an operator on.
func (a *API) proxy(w http.ResponseWriter, c *door.Call) error {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return door.Invalid("the query cannot be read: %s", err)
	}
	request := peerapi.Request{
		Method: c.Request.Method, Path: c.Request.URL.Path, Query: query, Allowed: slices.Collect(maps.Keys(query)), Header: routes.Outbound(c.Request.Header),
	}
	if !c.Route.Mutates() {
		if err := c.Allow(authz.Cluster{}); err != nil {
			return err
		}
		_, err := a.peer.Forward(c.Request.Context(), w, request)
		return problem(err)
	}
	if c.Request.ContentLength != 0 {
		request.Body, request.Length = http.MaxBytesReader(w, c.Request.Body, maxBody), c.Request.ContentLength
	}
	return c.Do(http.StatusOK, []door.Step{{Action: c.Route.Action, Resource: authz.Cluster{}}}, func(ctx context.Context) (string, error) {
		status, err := a.peer.Forward(ctx, w, request)
		if broken := (*peerapi.Broken)(nil); !errors.As(err, &broken) {
			c.Answered = status
		}
		return "", problem(err)
	})
}

// problem turns an error of package peerapi into what a client is told.
func problem(err error) error {
	var unreachable *peerapi.Unreachable
	var body *peerapi.BodyError
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return tooMuch(tooLarge.Limit)
	case errors.As(err, &body):
		return door.Invalid("the body cannot be read to its end")
	case errors.As(err, &unreachable) && unreachable.Timeout():
		return &door.Problem{
			Status: http.StatusGatewayTimeout, Reason: door.UpstreamTimeout, Details: "no peer of the cluster has answered in time: try again", RetryAfter: retryAfter, Err: err,
		}
	}
	return unusable(err)
}

// tooMuch is the Problem of a body with more than a number of bytes.
func tooMuch(limit int64) error {
	return &door.Problem{Status: http.StatusRequestEntityTooLarge, Reason: door.TooLarge, Details: fmt.Sprintf("the body has more than %d bytes", limit)}
}

// unusable is the Problem of an answer of a peer that cannot be had or used.
func unusable(err error) *door.Problem {
	return &door.Problem{
		Status: http.StatusBadGateway, Reason: door.UpstreamUnavailable, Details: "the cluster does not answer as it should: try again", RetryAfter: retryAfter, Err: err,
	}
}
