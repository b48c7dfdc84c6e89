package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

const contentType = "application/json"

// Pins are the requests of all tenants. pins.Service is.
type Pins interface {
	Create(ctx context.Context, n pins.NewRequest) (pins.Request, error)
	List(ctx context.Context, tenant string, q pins.Query) (pins.Page, error)
	OfCID(ctx context.Context, tenant, cid string) ([]pins.Request, error)
	Replace(ctx context.Context, tenant, id string, n pins.NewRequest) (pins.Request, error)
	Remove(ctx context.Context, tenant, id string) error
}

// Message is a request to the REST API of a peer.
type Message struct {
	Method, Path, Query string
	// Header is sent as it is, but for the credentials, which are the gateway's.
	Header http.Header
	Body   io.Reader // may be nil
}

// Peer is the REST API of the cluster.
type Peer interface {
	// Do returns the answer of a peer, whatever its status. The caller closes its body. An
	// error wraps context.DeadlineExceeded if the peer was too slow.
	Do(ctx context.Context, m Message) (*http.Response, error)
}

// API answers the routes of routes.Native.
type API struct {
	pins Pins
	peer Peer
}

// New returns the API as a door serves it.
func New(p Pins, peer Peer) door.API {
	a := &API{p, peer}
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
	message := Message{
		Method: c.Request.Method, Path: c.Request.URL.Path, Query: c.Request.URL.RawQuery,
		Header: routes.Outbound(c.Request.Header), Body: http.MaxBytesReader(w, c.Request.Body, maxBody),
	}
	if !c.Route.Mutates() {
		if err := c.Allow(authz.Cluster{}); err != nil {
			return err
		}
		answer, err := a.ask(c.Request.Context(), message)
		if err != nil {
			return err
		}
		return copyAnswer(w, answer)
	}
	var answer *http.Response
	err := c.Do(http.StatusOK, []door.Step{{Action: c.Route.Action, Resource: authz.Cluster{}}}, func(ctx context.Context) (string, error) {
		var err error
		answer, err = a.ask(ctx, message)
		return "", err
	})
	if err != nil {
		return err
	}
	return copyAnswer(w, answer)
}

// copyAnswer hands on what a peer has answered.
func copyAnswer(w http.ResponseWriter, answer *http.Response) error {
	defer func() { _ = answer.Body.Close() }()
	for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "X-Chunked-Output"} {
		if value := answer.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(answer.StatusCode)
	flusher := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := answer.Body.Read(buffer)
		if _, failed := w.Write(buffer[:n]); failed != nil {
			return fmt.Errorf("handing on an answer: %w", failed)
		}
		if n > 0 {
			_ = flusher.Flush() // one that cannot flush sends it later
		}
		switch {
		case errors.Is(err, io.EOF):
			return streamError(answer)
		case err != nil:
			return fmt.Errorf("reading the answer of a peer: %w", err)
		}
	}
}

// streamError is what upstream says in the trailer of an answer that had begun.
func streamError(answer *http.Response) error {
	if text := answer.Trailer.Get("X-Stream-Error"); text != "" {
		return fmt.Errorf("the peer could not end its answer: %.500s", text)
	}
	return nil
}

// ask returns an answer of a peer. One that did not come is a Problem.
func (a *API) ask(ctx context.Context, m Message) (*http.Response, error) {
	answer, err := a.peer.Do(ctx, m)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &door.Problem{
			Status: http.StatusGatewayTimeout, Reason: door.UpstreamTimeout, Details: "no peer of the cluster has answered in time: try again", RetryAfter: retryAfter, Err: err,
		}
	case err != nil:
		return nil, unreachable(err)
	}
	return answer, nil
}

// unreachable is the Problem of an answer of a peer that cannot be had or used.
func unreachable(err error) *door.Problem {
	return &door.Problem{
		Status: http.StatusBadGateway, Reason: door.UpstreamUnavailable, Details: "the cluster does not answer as it should: try again", RetryAfter: retryAfter, Err: err,
	}
}
