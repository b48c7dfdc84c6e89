package api

import (
	_ "embed" // the description
	"net/http"
)

// openapi is the description of the API. docs/billing-api.openapi.json is a copy of it.
//
//go:embed openapi.json
var openapi []byte

// document answers with the description of the API.
func document(w http.ResponseWriter, _ *call) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(openapi)
	return err
}
