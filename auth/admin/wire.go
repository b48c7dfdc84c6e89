package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const (
	contentType = "application/json"
	// maxBody bounds the body of a request, in bytes.
	maxBody = 64 << 10
	// encoded is what the segment of a path begins with that is not an id, but the base64url
	// of one: ids may have characters that no path has.
	encoded = "~"
)

// list is a page as it is answered. Without next it is the last one.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// listed is a page with each of its entries as it is answered.
func listed[T, V any](page accounts.Page[T], view func(T) V) list[V] {
	out := list[V]{Items: make([]V, len(page.All)), Next: page.Next}
	for i, one := range page.All {
		out.Items[i] = view(one)
	}
	return out
}

// answer answers with a value that nobody keeps: it may have a secret.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Cache-Control", "no-store")
	door.WriteJSON(w, status, contentType, value)
}

// done answers that there is nothing to say.
func done(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// read reads the body of a request: one JSON object with members of into, each at most
// once, and no other.
func read(w http.ResponseWriter, c *door.Call, into any) error {
	if kind, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type")); err != nil || kind != contentType {
		return &door.Problem{Status: http.StatusUnsupportedMediaType, Reason: door.UnsupportedType, Details: "the body is to be " + contentType}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Request.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &door.Problem{Status: http.StatusRequestEntityTooLarge, Reason: door.TooLarge, Details: fmt.Sprintf("the body has more than %d bytes", maxBody)}
	case err != nil:
		return door.Invalid("the body cannot be read to its end")
	}
	return decode(body, into)
}

// decode reads a JSON object.
func decode(body []byte, into any) error {
	if trimmed := strings.TrimLeft(string(body), " \t\r\n"); !strings.HasPrefix(trimmed, "{") {
		return door.Invalid("the body is not a JSON object")
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return door.Invalid("the body is not a JSON object with the members that this route has, each once: %s", err)
	}
	return nil
}

// paging reads after and limit. There is nothing else in a query.
func paging(c *door.Call) (after string, limit int, err error) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return "", 0, door.Invalid("the query cannot be read: %s", err)
	}
	for name, values := range query {
		value := values[0]
		switch {
		case len(values) > 1:
			return "", 0, door.Invalid("the query has %.50q more than once", name)
		case name == "after" && value != "":
			after = value
		case name == "limit":
			if limit, err = strconv.Atoi(value); err != nil || limit < 1 || limit > accounts.MaxPage {
				return "", 0, door.Invalid("limit is %.20q, and must be from 1 to %d", value, accounts.MaxPage)
			}
		default:
			return "", 0, door.Invalid("the query has %.50q with %.50q: there are after, with the next of the page before, and limit", name, value)
		}
	}
	if limit == 0 {
		limit = accounts.MaxPage
	}
	return after, limit, nil
}

// variable returns the id that a segment of the path stands for.
func variable(c *door.Call, name string) (string, error) {
	return idOf(c.Route.Vars[name])
}

// idOf returns the id that a segment of a path stands for: itself, unless it begins with
// encoded.
func idOf(segment string) (string, error) {
	text, is := strings.CutPrefix(segment, encoded)
	if !is {
		if err := principal.CheckText(segment); err != nil {
			return "", door.Invalid("%.50q in the path is not an id: %s", segment, err)
		}
		return segment, nil
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(id) == 0 || principal.CheckText(string(id)) != nil {
		return "", door.Invalid("%.50q in the path is not %s and an id in base64url", segment, encoded)
	}
	return string(id), nil
}

// segmentOf returns what stands for an id in a path.
func segmentOf(id string) string {
	plain := strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:") == "" && strings.Trim(id, ".") != ""
	if plain {
		return id
	}
	return encoded + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// momentOf is a time in an answer, nil if it is zero.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// texts is a list in an answer, never null.
func texts(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}
