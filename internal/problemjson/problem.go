// Package problemjson writes why a request was not answered as its client wished, as JSON
// (RFC 9457), in the form that all APIs of our own have.
package problemjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// ErrEncoding says that an answer is not one that can be written as JSON: a mistake of the program.
var ErrEncoding = errors.New("an answer cannot be encoded")

// Problem is why a request is not answered as its client wished.
type Problem struct {
	// Program begins the type, as "pin-gateway".
	Program string
	// Status is of HTTP, Reason a code that programs may rely on, and Detail for people.
	Status         int
	Reason, Detail string
	// ID is that of the request.
	ID string
}

// Write answers with a problem. The type is made of the program and the reason, and the instance is
// the id of the request, which is also in requestId. The error is one of writing.
func (p Problem) Write(w http.ResponseWriter) error {
	return WriteJSON(w, p.Status, "application/problem+json", struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Instance  string `json:"instance"`
		Reason    string `json:"reason"`
		RequestID string `json:"requestId"`
	}{"urn:" + p.Program + ":" + p.Reason, http.StatusText(p.Status), p.Status, p.Detail, p.ID, p.Reason, p.ID})
}

// WriteJSON answers with a value as JSON. The error says that it cannot be encoded, which the client
// is told, or was not written.
func WriteJSON(w http.ResponseWriter, status int, contentType string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	return nil
}
