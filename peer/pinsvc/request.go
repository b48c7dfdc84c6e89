package pinsvc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/mux"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
)

// maxBody bounds what is read of a request, in bytes.
const maxBody = 1 << 20

// The bounds of the specification.
const (
	maxLimit   = 1000
	maxCids    = 10
	maxName    = 255 // characters
	maxOrigins = 20
	maxMeta    = 1000
)

// requestID is the CID in the path.
func requestID(r *http.Request) (api.Cid, error) {
	c, err := api.DecodeCid(mux.Vars(r)["requestID"])
	if err != nil {
		// No pin has such an id.
		return c, fmt.Errorf("%w: the request id is not a CID: %w", errNotFound, err)
	}
	return c, nil
}

// pinObject is a pin as a request has it. Upstream's type takes the bytes of a name for
// its characters.
type pinObject struct {
	Cid     api.Cid           `json:"cid"`
	Name    string            `json:"name"`
	Origins []api.Multiaddr   `json:"origins"`
	Meta    map[string]string `json:"meta"`
}

// body is the pin in a request.
func body(w http.ResponseWriter, r *http.Request) (api.Pin, error) {
	var pin pinObject
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := dec.Decode(&pin); err != nil {
		return api.Pin{}, fmt.Errorf("%w: the body is not a pin: %w", errBad, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return api.Pin{}, fmt.Errorf("%w: the body goes on behind the pin", errBad)
	}
	switch {
	case !pin.Cid.Defined():
		return api.Pin{}, fmt.Errorf("%w: the pin has no cid", errBad)
	case len(pin.Origins) > maxOrigins:
		return api.Pin{}, fmt.Errorf("%w: the pin has %d origins, and may have %d", errBad, len(pin.Origins), maxOrigins)
	case len(pin.Meta) > maxMeta:
		return api.Pin{}, fmt.Errorf("%w: the pin has %d entries in meta, and may have %d", errBad, len(pin.Meta), maxMeta)
	}
	if err := checkName(pin.Name); err != nil {
		return api.Pin{}, err
	}
	return api.PinWithOpts(pin.Cid, api.PinOptions{
		Name: pin.Name, Origins: pin.Origins, Metadata: pin.Meta, Mode: api.PinModeRecursive,
	}), nil
}

func checkName(name string) error {
	if n := utf8.RuneCountInString(name); n > maxName {
		return fmt.Errorf("%w: the name has %d characters, and may have %d", errBad, n, maxName)
	}
	return nil
}

// query are the options of a list.
func query(r *http.Request) (opts pinsvc.ListOptions, err error) {
	// What cannot be parsed must not be left out: it is a filter.
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return opts, fmt.Errorf("%w: %w", errBad, err)
	}
	for _, list := range []string{"cid", "status"} { // some clients write these one by one
		if values := q[list]; len(values) > 1 {
			q.Set(list, strings.Join(values, ","))
		}
	}
	name := q.Get("name")
	q.Del("name") // upstream counts its bytes
	if err := checkName(name); err != nil {
		return opts, err
	}
	if err := opts.FromQuery(q); err != nil {
		return opts, fmt.Errorf("%w: %w", errBad, err)
	}
	opts.Name = name
	return opts, checkOptions(q, &opts)
}

// checkOptions looks for what upstream takes for a default, and sets those of the
// specification.
func checkOptions(q url.Values, opts *pinsvc.ListOptions) error {
	switch {
	case opts.Limit < 1 || opts.Limit > maxLimit:
		return fmt.Errorf("%w: limit is %d, and must be from 1 to %d", errBad, opts.Limit, maxLimit)
	case len(opts.Cids) > maxCids:
		return fmt.Errorf("%w: %d CIDs were given, and at most %d may be", errBad, len(opts.Cids), maxCids)
	}
	for text := range strings.SplitSeq(q.Get("status"), ",") {
		if text != "" && pinsvc.StatusFromString(text) == pinsvc.StatusUndefined {
			return fmt.Errorf("%w: %q is not a status", errBad, text)
		}
	}
	if m := q.Get("match"); m != "" && pinsvc.MatchingStrategyFromString(m) == pinsvc.MatchingStrategyUndefined {
		return fmt.Errorf("%w: %q is not a matching strategy", errBad, m)
	}
	if opts.Status == pinsvc.StatusUndefined {
		opts.Status = pinsvc.StatusPinned
	}
	return nil
}
