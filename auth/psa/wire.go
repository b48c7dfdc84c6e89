package psa

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pinapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

const (
	// maxBody bounds a pin in a request, in bytes.
	maxBody = 256 << 10
	// maxDelegates is the specification's.
	maxDelegates = 20
	// maxValues bounds the parameters of a query.
	maxValues = 100
)

// pin is the specification's Pin.
type pin struct {
	CID     string            `json:"cid"`
	Name    string            `json:"name,omitempty"`
	Origins []string          `json:"origins,omitempty"`
	Meta    map[string]string `json:"meta,omitempty"`
}

// pinStatus is the specification's PinStatus.
type pinStatus struct {
	RequestID string            `json:"requestid"`
	Status    string            `json:"status"`
	Created   string            `json:"created"`
	Pin       pin               `json:"pin"`
	Delegates []string          `json:"delegates"`
	Info      map[string]string `json:"info,omitempty"`
}

// results is the specification's PinResults.
type results struct {
	Count   int         `json:"count"`
	Results []pinStatus `json:"results"`
}

// failure is the specification's Failure.
type failure struct {
	Error failureError `json:"error"`
}

type failureError struct {
	Reason  string `json:"reason"`
	Details string `json:"details,omitempty"`
}

// parsePin returns the request that a body asks for, of the principal of the call.
func parsePin(w http.ResponseWriter, c *door.Call) (pins.NewRequest, error) {
	if text := c.Request.Header.Get("Content-Type"); text != "" {
		if media, _, err := mime.ParseMediaType(text); err != nil || media != contentType {
			return pins.NewRequest{}, &door.Problem{Status: http.StatusUnsupportedMediaType, Reason: door.UnsupportedType, Details: "send the pin as application/json"}
		}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, c.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return pins.NewRequest{}, &door.Problem{Status: http.StatusRequestEntityTooLarge, Reason: door.TooLarge, Details: fmt.Sprintf("a pin has at most %d bytes", maxBody)}
	case err != nil:
		return pins.NewRequest{}, door.Invalid("the body cannot be read to its end")
	}
	wanted, err := decodePin(text)
	if err != nil {
		return pins.NewRequest{}, err
	}
	wanted.Tenant, wanted.Owner = c.Principal.Tenant, c.Principal.ID
	return wanted, nil
}

// decodePin reads a pin. Fields that the specification does not have are not an error, as
// it says.
func decodePin(text []byte) (pins.NewRequest, error) {
	var p pin
	if err := json.Unmarshal(text, &p); err != nil {
		return pins.NewRequest{}, door.Invalid("the body is not a pin: %s", err)
	}
	if p.CID == "" {
		return pins.NewRequest{}, door.Invalid("the pin has no cid")
	}
	canonical, err := pinapi.CID(p.CID)
	if err != nil {
		return pins.NewRequest{}, err
	}
	if err := pinapi.CheckMeta(p.Meta); err != nil {
		return pins.NewRequest{}, err
	}
	return pins.NewRequest{CID: canonical, Name: p.Name, Origins: p.Origins, Meta: p.Meta, Region: p.Meta[pinapi.Region]}, nil
}

// parseQuery reads the filters of a list.
func parseQuery(text string) (pins.Query, error) {
	var q pins.Query
	// What cannot be read must not be left out: it is a filter.
	values, err := url.ParseQuery(text)
	if err != nil {
		return q, door.Invalid("the query cannot be read: %s", err)
	}
	if len(values) > maxValues {
		return q, door.Invalid("the query has too many parameters")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := setFilter(&q, name, values[name]); err != nil {
			return q, err
		}
	}
	if len(q.Statuses) == 0 {
		q.Statuses = []pins.Status{pins.Pinned}
	}
	return q, nil
}

// setFilter sets what one parameter says. Some clients write the values of a list one by
// one, others with commas.
func setFilter(q *pins.Query, name string, values []string) error {
	list := values
	if name == "cid" || name == "status" {
		list = strings.Split(strings.Join(values, ","), ",")
	} else if len(values) > 1 {
		return door.Invalid("the query has %s more than once", name)
	}
	// It must not be left out: it is a filter.
	if slices.Contains(list, "") {
		return door.Invalid("the filter %.50q has an empty value: give it one, or leave it out", name)
	}
	value := values[0]
	switch name {
	case "cid":
		q.CIDs = list
	case "status":
		for _, one := range list {
			q.Statuses = append(q.Statuses, pins.Status(one))
		}
	case "name":
		q.Name = value
	case "match":
		q.Match = pins.Match(value)
	case "before":
		return setTime(&q.Before, name, value)
	case "after":
		return setTime(&q.After, name, value)
	case "limit":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > pins.MaxLimit {
			return door.Invalid("limit is %.20q, and must be from 1 to %d", value, pins.MaxLimit)
		}
		q.Limit = n
	case "meta":
		if err := json.Unmarshal([]byte(value), &q.Meta); err != nil {
			return door.Invalid("meta is not a JSON object of texts: %s", err)
		}
	default:
		return door.Invalid("there is no filter %.50q: cid, name, match, status, before, after, limit and meta are", name)
	}
	return nil
}

func setTime(at *time.Time, name, value string) error {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return door.Invalid("%s is %.50q, and not a time as 2026-01-31T23:59:59.999Z", name, value)
	}
	*at = t
	return nil
}
