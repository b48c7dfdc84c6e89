package peerapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	ma "github.com/multiformats/go-multiaddr"
)

// Options are how a CID is to be pinned. The pin that there is gets all of them.
type Options struct {
	// ReplMin and ReplMax are how many copies there are to be: 0 is the default of the
	// cluster, and -1 for both is everywhere.
	ReplMin, ReplMax int
	Name             string
	// Metadata must fit, with the name, into the header of a request: 4 KiB, escaped.
	Metadata map[string]string
	// Origins are multiaddresses where the content may be had. Those that upstream does not
	// take, as they have no ID of a peer, and those for which there is no room are left out:
	// they only help to find the content.
	Origins []string
}

// Allocation is a pin as the cluster has it, whatever its peers have made of it so far.
type Allocation struct {
	Name             string
	Metadata         map[string]string
	ReplMin, ReplMax int
	// Allocations are the IDs of the peers that are to hold it, none if all are.
	Allocations []string
	// Created is when the pin was made or changed last, in whole seconds.
	Created time.Time
}

// maxQuery is how long the parameters of a request may be, in bytes. A peer reads 8 KiB
// of a request's header by default, with all else that is in it.
const maxQuery = 4 << 10

// errInvalid is that a request would not be understood: no peer was asked.
var errInvalid = errors.New("not a valid request to a peer")

// Pin has the cluster pin a CID with these options, whether it is pinned or not. When it
// returns nil the cluster has accepted that; Status tells what comes of it.
func (c *Client) Pin(ctx context.Context, id string, options Options) (Allocation, error) {
	path, err := pathOf("/pins/", id)
	if err != nil {
		return Allocation{}, err
	}
	query, err := options.query()
	if err != nil {
		return Allocation{}, fmt.Errorf("pinning %s: %w", id, err)
	}
	var pin pinJSON
	err = c.ask(ctx, question{http.MethodPost, path, query, pin.read(id)})
	if err != nil {
		return Allocation{}, fmt.Errorf("pinning %s: %w", id, err)
	}
	return pin.allocation(), nil
}

// Unpin has the cluster unpin a CID. It returns nil if it is not pinned.
func (c *Client) Unpin(ctx context.Context, id string) error {
	path, err := pathOf("/pins/", id)
	if err != nil {
		return err
	}
	var pin pinJSON
	err = c.ask(ctx, question{http.MethodDelete, path, "", pin.read(id)})
	if err != nil && !isNoPin(err) {
		return fmt.Errorf("unpinning %s: %w", id, err)
	}
	return nil
}

// Allocation returns the pin of a CID, and false if there is none.
func (c *Client) Allocation(ctx context.Context, id string) (Allocation, bool, error) {
	path, err := pathOf("/allocations/", id)
	if err != nil {
		return Allocation{}, false, err
	}
	var pin pinJSON
	err = c.ask(ctx, question{http.MethodGet, path, "", pin.read(id)})
	switch {
	case err != nil && isNoPin(err):
		return Allocation{}, false, nil
	case err != nil:
		return Allocation{}, false, fmt.Errorf("reading the pin of %s: %w", id, err)
	}
	return pin.allocation(), true, nil
}

// pathOf is a path with a CID at its end.
func pathOf(prefix, id string) (string, error) {
	parsed, err := cid.Decode(id)
	if err != nil {
		return "", fmt.Errorf("%w: %.100q is not a CID: %w", errInvalid, id, err)
	}
	return prefix + parsed.String(), nil
}

// query is the parameters that have these options. Upstream pins also when it does not
// understand them all (it says 400 and goes on), so that none may be wrong.
func (o Options) query() (string, error) {
	everywhere := o.ReplMin == -1 && o.ReplMax == -1
	if !everywhere && (o.ReplMin < 0 || o.ReplMax < 0 || o.ReplMin > 0 && o.ReplMax > 0 && o.ReplMin > o.ReplMax) {
		return "", fmt.Errorf("%w: %d to %d copies", errInvalid, o.ReplMin, o.ReplMax)
	}
	values := url.Values{"replication-min": {strconv.Itoa(o.ReplMin)}, "replication-max": {strconv.Itoa(o.ReplMax)}}
	if o.Name != "" {
		values.Set("name", o.Name)
	}
	for key, value := range o.Metadata {
		if key == "" {
			return "", fmt.Errorf("%w: metadata without a key", errInvalid)
		}
		values.Set("meta-"+key, value)
	}
	query := values.Encode()
	if len(query) > maxQuery {
		return "", fmt.Errorf("%w: the name and metadata take %d bytes, more than %d", errInvalid, len(query), maxQuery)
	}
	var origins []string
	for _, text := range o.Origins {
		if origin, err := ma.NewMultiaddr(text); err != nil || !has(origin, ma.P_P2P) {
			continue
		}
		values.Set("origins", strings.Join(append(origins, text), ","))
		longer := values.Encode()
		if len(longer) > maxQuery {
			break
		}
		origins, query = append(origins, text), longer
	}
	return query, nil
}

// has tells whether an address has a protocol.
func has(address ma.Multiaddr, code int) bool {
	_, err := address.ValueForProtocol(code)
	return err == nil
}

// pinJSON is what is read of upstream's api.Pin.
type pinJSON struct {
	Cid         string            `json:"cid"`
	Name        string            `json:"name"`
	Metadata    map[string]string `json:"metadata"`
	ReplMin     int               `json:"replication_factor_min"`
	ReplMax     int               `json:"replication_factor_max"`
	Allocations []string          `json:"allocations"`
	Timestamp   time.Time         `json:"timestamp"`
}

// read reads the pin of a CID.
func (p *pinJSON) read(id string) func(answer) error {
	return func(a answer) error {
		*p = pinJSON{}
		if err := readObject(a, p); err != nil {
			return err
		}
		if !same(p.Cid, id) {
			return fmt.Errorf("the answer is about %.100q", p.Cid)
		}
		return nil
	}
}

// same tells whether two texts are the same CID.
func same(a, b string) bool {
	x, errX := cid.Decode(a)
	y, errY := cid.Decode(b)
	return errX == nil && errY == nil && x.Equals(y)
}

func (p *pinJSON) allocation() Allocation {
	return Allocation{
		Name: p.Name, Metadata: p.Metadata, ReplMin: p.ReplMin, ReplMax: p.ReplMax, Allocations: p.Allocations, Created: p.Timestamp,
	}
}
