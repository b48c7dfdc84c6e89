package peerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxMessage is how much of the body of an error is read, in bytes.
const maxMessage = 4 << 10

// Unreachable is that a peer gave no answer, not all of one, or one that this package
// does not understand. What was asked for may have been done.
type Unreachable struct {
	Peer string
	Err  error
}

// Error implements error.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("peer %s does not answer: %s", e.Peer, e.Err)
}

// Unwrap returns what went wrong.
func (e *Unreachable) Unwrap() error { return e.Err }

// Timeout tells whether the peer took too long (504 rather than 502).
func (e *Unreachable) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// BodyError is that the body of a request could not be read to its end: the client's fault,
// or its connection's. A peer may have got the beginning of it.
type BodyError struct{ Err error }

// Error implements error.
func (e *BodyError) Error() string { return "reading the body of the client: " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *BodyError) Unwrap() error { return e.Err }

// Failed is that a peer says that it cannot do it (5xx). With upstream, 500 is also the
// answer to much that is wrong with a request.
type Failed struct {
	Peer    string
	Status  int
	Message string
	// RetryAfter is what the peer says of when to try again, 0 if it says nothing.
	RetryAfter time.Duration
}

// ErrReplication is what the error of Pin is too if the peer understood the request and does
// not make such a pin: with smaller replication factors it may.
var ErrReplication = errors.New("a peer does not make a pin with such replication factors")

// tooFew is what upstream says, with 500, of a pin for more peers than there are.
const tooFew = "not enough peers to allocate"

// Is tells that it is ErrReplication.
func (e *Failed) Is(target error) bool {
	return target == ErrReplication && e.Status == http.StatusInternalServerError && strings.Contains(e.Message, tooFew)
}

// Error implements error.
func (e *Failed) Error() string {
	return fmt.Sprintf("peer %s cannot do it: %d: %s", e.Peer, e.Status, e.Message)
}

// Refused is that a peer does not do what it was asked for (4xx, or a redirection). With
// 401 it is the gateway that was refused, not its client.
type Refused struct {
	Peer    string
	Status  int
	Message string
}

// Is tells that it is ErrReplication, which is any refusal that is not about the gateway.
func (e *Refused) Is(target error) bool {
	return target == ErrReplication && (e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity)
}

// Error implements error.
func (e *Refused) Error() string {
	return fmt.Sprintf("peer %s refuses it: %d: %s", e.Peer, e.Status, e.Message)
}

// noPin is what upstream says, with 404, of a CID that is not pinned. A 404 with another
// text is of a path that the server does not have: the URL is not that of a peer.
const noPin = "pin is not part of the pinset"

// isNoPin tells whether a peer says that a CID is not pinned.
func isNoPin(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Message == noPin
}

// errorOf returns what the status of an answer means, nil for success. It reads the body
// of an error.
func errorOf(peer string, response *http.Response) error {
	if response.StatusCode < 300 {
		return nil
	}
	message := messageOf(response)
	if response.StatusCode >= 500 {
		return &Failed{peer, response.StatusCode, message, retryAfter(response.Header)}
	}
	return &Refused{peer, response.StatusCode, message}
}

// messageOf reads what an error says, in upstream's form or as text.
func messageOf(response *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	if err != nil && len(body) == 0 {
		return "nothing else"
	}
	var said struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &said); err == nil && said.Message != "" {
		return said.Message
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(body), "�"))
}

// retryAfter reads the header of that name as seconds, at most an hour. Dates are not
// understood: no peer sends them.
func retryAfter(h http.Header) time.Duration {
	d, err := time.ParseDuration(h.Get("Retry-After") + "s")
	if err != nil || d < 0 {
		return 0
	}
	return min(d, time.Hour)
}
