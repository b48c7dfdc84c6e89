package web

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// maxForm bounds a form, in bytes.
const maxForm = 64 << 10

// readForm reads the form in the body of a request.
func readForm(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return &door.Problem{Status: http.StatusUnsupportedMediaType, Reason: door.UnsupportedType, Details: "the body is to be a form"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &door.Problem{Status: http.StatusRequestEntityTooLarge, Reason: door.TooLarge, Details: "the form is larger than 64 KiB"}
	case err != nil:
		return door.Invalid("the form cannot be read")
	}
	return nil
}

// one returns the field of a form, or of a query, that is there once or not at all, without
// spaces around it.
func one(values map[string][]string, name string) (string, error) {
	switch all := values[name]; len(all) {
	case 0:
		return "", nil
	case 1:
		return strings.TrimSpace(all[0]), nil
	}
	return "", door.Invalid("%s is there more than once", name)
}

// said returns what is to be said beside the form if a request cannot be done for a reason
// that another entry may remove, and false for all other errors.
func said(err error) (string, bool) {
	var p *door.Problem
	if errors.As(err, &p) && (p.Status == http.StatusBadRequest || p.Status == http.StatusConflict) {
		return sentence(p.Details), true
	}
	return "", false
}

// statusOf is the status of an error for which said returns true.
func statusOf(err error) int {
	var p *door.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return http.StatusBadRequest
}
