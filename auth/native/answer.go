package native

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
)

// answer keeps the answer of a peer that the gateway reads itself.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(text []byte) (int, error) {
	if a.body.Len()+len(text) > maxAnswer {
		return 0, fmt.Errorf("the answer of a peer has more than %d bytes", maxAnswer)
	}
	return a.body.Write(text)
}

// ask returns the whole answer of a peer, whatever its status. One that does not come, or
// breaks off, is a Problem.
func (a *API) ask(ctx context.Context, r peerapi.Request) (*answer, error) {
	out := &answer{header: make(http.Header)}
	if _, err := a.peer.Forward(ctx, out, r); err != nil {
		return nil, problem(err)
	}
	// Upstream says so when it failed after its answer had begun.
	if text := out.header.Get("X-Stream-Error"); text != "" {
		return nil, unusable(fmt.Errorf("a peer could not end its answer: %.500s", text))
	}
	return out, nil
}
