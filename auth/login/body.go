package login

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 16 << 10

// read reads the body of a request: one JSON object with the members of into, each at most
// once, and no other. A page of another site cannot send application/json without asking
// first, which nobody grants.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &door.Problem{Status: http.StatusUnsupportedMediaType, Reason: door.UnsupportedType, Details: "the body is to be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &door.Problem{Status: http.StatusRequestEntityTooLarge, Reason: door.TooLarge, Details: "the body is larger than 16 KiB"}
	case err != nil:
		return door.Invalid("the body cannot be read")
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		// The error may quote the body, which is a secret's place.
		return door.Invalid("the body is not a JSON object with the members that this route has, each once")
	}
	return nil
}
