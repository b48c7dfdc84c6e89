package admin

import (
	_ "embed"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// openapi is the description of the API. docs/gateway-admin.openapi.json is a copy of it.
//
//go:embed openapi.json
var openapi []byte

// document answers with the description of the API.
func document(w http.ResponseWriter, _ *door.Call) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(openapi)
	return err
}
