package pins

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multiaddr"
)

// Limits of what a client may say.
const (
	MaxCIDs      = 10
	MaxName      = 255      // characters
	MaxMeta      = 1000     // entries
	MaxMetaBytes = 64 << 10 // of all keys and values
	MaxOrigins   = 20
	MaxOrigin    = 512 // bytes of each
	MaxRegion    = 64  // bytes
	MaxRepl      = 1000
	MaxLimit     = 1000
	DefaultLimit = 10

	// maxText bounds ids of tenants and principals, as package principal does.
	maxText = 512
	// maxCID is more than any CID of a hash in use has.
	maxCID = 256
)

func invalid(field, problem string, args ...any) error {
	return &InvalidError{field, fmt.Sprintf(problem, args...)}
}

// checked returns n with a canonical CID, or what is wrong with it.
func (n NewRequest) checked(maxRepl int) (NewRequest, error) {
	var err error
	if n.CID, err = canonicalCID(n.CID); err != nil {
		return n, err
	}
	return n, n.checkOptions(maxRepl)
}

// checkOptions returns what is wrong with all but the CID.
func (n NewRequest) checkOptions(maxRepl int) error {
	if err := checkText("name", n.Name); err != nil {
		return err
	}
	if utf8.RuneCountInString(n.Name) > MaxName {
		return invalid("name", "has more than %d characters", MaxName)
	}
	if err := checkMeta(n.Meta); err != nil {
		return err
	}
	if len(n.Origins) > MaxOrigins {
		return invalid("origins", "are more than %d", MaxOrigins)
	}
	for _, o := range n.Origins {
		if len(o) > MaxOrigin {
			return invalid("origins", "has one of more than %d bytes", MaxOrigin)
		}
		if _, err := multiaddr.NewMultiaddr(o); err != nil {
			return invalid("origins", "has %.100q, which is not a multiaddress", o)
		}
	}
	if n.Region != strings.TrimSpace(n.Region) || len(n.Region) > MaxRegion {
		return invalid("region", "has more than %d bytes, or spaces around it", MaxRegion)
	}
	if err := checkText("region", n.Region); err != nil {
		return err
	}
	return n.checkRest(maxRepl)
}

// checkRest looks at what clients of the Pinning Services API do not say.
func (n NewRequest) checkRest(maxRepl int) error {
	for _, r := range []int{n.ReplMin, n.ReplMax} {
		if r < -1 || r > maxRepl {
			return invalid("replication", "%d is not in -1 to %d", r, maxRepl)
		}
	}
	switch {
	case (n.ReplMin == -1) != (n.ReplMax == -1), (n.ReplMin == 0) != (n.ReplMax == 0), n.ReplMin > n.ReplMax:
		return invalid("replication", "%d to %d: both are -1, both are 0, or the first is at most the second", n.ReplMin, n.ReplMax)
	case n.Tenant == "" || len(n.Tenant) > maxText:
		return invalid("tenant", "is empty or has more than %d bytes", maxText)
	case n.Owner == "" || len(n.Owner) > maxText:
		return invalid("owner", "is empty or has more than %d bytes", maxText)
	}
	return nil
}

// canonicalCID returns the text of a CID as it is stored: base58 for version 0, base32 else.
func canonicalCID(text string) (string, error) {
	if len(text) > maxCID {
		return "", invalid("cid", "has more than %d characters", maxCID)
	}
	c, err := cid.Decode(text)
	if err != nil {
		return "", invalid("cid", "%.100q is not a CID", text)
	}
	return c.String(), nil
}

// checkText refuses what is not text, and control characters, which make a log or a
// terminal show something else.
func checkText(field, text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return invalid(field, "is not UTF-8, or has control characters")
	}
	return nil
}

func checkMeta(meta map[string]string) error {
	if len(meta) > MaxMeta {
		return invalid("meta", "has more than %d entries", MaxMeta)
	}
	size := 0
	for k, v := range meta {
		size += len(k) + len(v)
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return invalid("meta", "is not UTF-8")
		}
	}
	if size > MaxMetaBytes {
		return invalid("meta", "has more than %d bytes", MaxMetaBytes)
	}
	return nil
}

// checked returns q with canonical CIDs, each once, and its defaults, or what is wrong.
func (q Query) checked() (Query, error) {
	if len(q.CIDs) > MaxCIDs {
		return q, invalid("cid", "names more than %d", MaxCIDs)
	}
	cids := make(map[string]bool)
	for _, text := range q.CIDs {
		c, err := canonicalCID(text)
		if err != nil {
			return q, err
		}
		cids[c] = true
	}
	q.CIDs = slices.Sorted(maps.Keys(cids))
	wanted := make(map[Status]bool)
	for _, s := range q.Statuses {
		if !slices.Contains(statuses(), s) {
			return q, invalid("status", "%.20q is unknown", string(s))
		}
		wanted[s] = true
	}
	q.Statuses = slices.Sorted(maps.Keys(wanted))
	switch q.Match {
	case "":
		q.Match = Exact
	case Exact, IExact, Partial, IPartial:
	default:
		return q, invalid("match", "%.20q is unknown", string(q.Match))
	}
	if utf8.RuneCountInString(q.Name) > MaxName || !utf8.ValidString(q.Name) {
		return q, invalid("name", "has more than %d characters, or is not UTF-8", MaxName)
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return q, invalid("limit", "%d is not in 1 to %d", q.Limit, MaxLimit)
	}
	return q, checkMeta(q.Meta)
}
