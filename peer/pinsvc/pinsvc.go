// Package pinsvc is the Pinning Services API of a peer: the same section of
// service.json, addresses, authentication and request ids as upstream's component,
// over answers that are complete or errors (package status).
//
// The specification is github.com/ipfs/pinning-services-api-spec. A request id is the
// CID, as with upstream: what the API cannot tell apart because of that, such as the
// pins of two users, is for the gateway.
package pinsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster/api/common"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
	rpc "github.com/libp2p/go-libp2p-gorpc"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// retryAfter is when a client may try again what the database did not serve, in
// seconds.
const retryAfter = 5

// API is the component, upstream's API of a cluster.
type API struct {
	*common.API
	client *rpc.Client
}

// New makes an API with the configuration of upstream's, which is not changed.
func New(ctx context.Context, cfg *pinsvcapi.Config) (*API, error) {
	conf := cfg.Config
	conf.APIErrorFunc = toAPIError
	a := new(API)
	var err error
	a.API, err = common.NewAPI(ctx, &conf, a.routes)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// routes are the endpoints, under the names that upstream gives them in its metrics.
func (a *API) routes(client *rpc.Client) []common.Route {
	a.client = client
	return []common.Route{
		{Name: "ListPins", Method: http.MethodGet, Pattern: "/pins", HandlerFunc: a.list},
		{Name: "AddPin", Method: http.MethodPost, Pattern: "/pins", HandlerFunc: a.add},
		{Name: "GetPin", Method: http.MethodGet, Pattern: "/pins/{requestID}", HandlerFunc: a.get},
		{Name: "ReplacePin", Method: http.MethodPost, Pattern: "/pins/{requestID}", HandlerFunc: a.replace},
		{Name: "RemovePin", Method: http.MethodDelete, Pattern: "/pins/{requestID}", HandlerFunc: a.remove},
		{Name: "GetToken", Method: http.MethodPost, Pattern: "/token", HandlerFunc: a.GenerateTokenHandler},
		{Name: "Health", Method: http.MethodGet, Pattern: "/health", HandlerFunc: a.HealthHandler},
	}
}

// Errors of requests.
var (
	errNotFound = errors.New("not found")
	errBad      = errors.New("bad request")
	errNoPin    = fmt.Errorf("%w: there is no such pin", errNotFound)
)

// fail answers with the status that an error calls for.
func (a *API) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var largePin *state.TooLargeError
	var largeBody *http.MaxBytesError
	switch {
	case errors.As(err, &largePin), errors.As(err, &largeBody):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, errBad):
		status = http.StatusBadRequest
	case isNotFound(err):
		status, err = http.StatusNotFound, errNoPin
	case state.Unavailable(err):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	a.SendResponse(w, status, err, nil)
}

// isNotFound reports whether there is no such pin. Between components upstream's error
// is known by its text.
func isNotFound(err error) bool {
	return errors.Is(err, errNotFound) || err.Error() == state.ErrNotFound.Error()
}

// toAPIError is the body of an answer that is an error.
func toAPIError(err error, status int) error {
	reason := map[int]string{
		http.StatusBadRequest: "BAD_REQUEST", http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "FORBIDDEN",
		http.StatusNotFound: "NOT_FOUND", http.StatusRequestEntityTooLarge: "TOO_LARGE", http.StatusServiceUnavailable: "UNAVAILABLE",
	}[status]
	if reason == "" {
		reason = "INTERNAL_SERVER_ERROR"
	}
	return pinsvc.APIError{Details: pinsvc.APIErrorDetails{Reason: reason, Details: err.Error()}}
}
