// Package pinapi is what the APIs on pins have in common: how a request of a tenant looks
// to a policy, what a client is told of an error of package pins, and what no client may
// set.
package pinapi

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// Region is the entry of a pin's metadata that says in which region it is wanted. Policies see
// it; the cluster places pins by what its peers are told.
const Region = "region"

// Wanted is a request that is to be made, as decisions are about it.
func Wanted(n pins.NewRequest) authz.Pin {
	return authz.Pin{
		Tenant: n.Tenant, Owner: n.Owner, CID: n.CID, Name: n.Name, Region: n.Region, ReplMin: copies(n.ReplMin), ReplMax: copies(n.ReplMax), Meta: n.Meta,
	}
}

// Everywhere is how many copies a policy sees where all peers are to have one: more than any
// bound.
const Everywhere = 1_000_000

// copies is a replication factor as policies see it.
func copies(factor int) int {
	if factor < 0 {
		return Everywhere
	}
	return factor
}

// Made is a request that there is, as decisions are about it.
func Made(r pins.Request) authz.Pin {
	pin := authz.Pin{
		ID: r.ID, Tenant: r.Tenant, Owner: r.Owner, CID: r.CID, Name: r.Name, Region: r.Region,
		ReplMin: copies(r.ReplMin), ReplMax: copies(r.ReplMax), Meta: r.Meta,
	}
	if r.Size > 0 {
		pin.Size = &r.Size
	}
	return pin
}

// Problem turns an error of package pins into what a client is told. Nil stays nil.
func Problem(err error) error {
	var invalid *pins.InvalidError
	var quota *pins.QuotaError
	var broad *pins.TooBroadError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pins.ErrNotFound):
		return door.Missing()
	case errors.As(err, &invalid):
		return door.Invalid("%s", invalid)
	case errors.As(err, &quota):
		return &door.Problem{Status: http.StatusConflict, Reason: door.InsufficientFunds, Details: quota.Error() + ": remove pins, or ask for a larger quota"}
	case errors.As(err, &broad):
		return door.Invalid("%s", broad)
	}
	return door.Unavailable(err)
}

// maxCID bounds the text of a CID: in some bases it takes the square of its length to read.
const maxCID = 256

// CID returns the canonical text of a CID: policies, and the database, see one text for
// each.
func CID(text string) (string, error) {
	if len(text) > maxCID {
		return "", door.Invalid("a cid of %d characters is not one: %d are the most", len(text), maxCID)
	}
	decoded, err := cid.Decode(text)
	if err != nil {
		return "", door.Invalid("the cid %.100q is not one: %s", text, err)
	}
	return decoded.String(), nil
}

// CheckMeta refuses metadata with an entry that is the gateway's own.
func CheckMeta(meta map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		if Reserved(key) {
			return door.Invalid("the entry %.100q of the metadata is the gateway's own: use another name", key)
		}
	}
	return nil
}

// Reserved tells whether an entry of metadata is the gateway's own.
func Reserved(key string) bool {
	switch strings.ToLower(key) {
	case "gateway", "owner", "tenant":
		return true
	}
	return strings.HasPrefix(key, "_")
}
