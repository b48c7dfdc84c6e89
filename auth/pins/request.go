package pins

import "time"

// Status is what has become of a request.
type Status string

// The statuses, in the words of the Pinning Services API.
const (
	Queued  Status = "queued"
	Pinning Status = "pinning"
	Pinned  Status = "pinned"
	Failed  Status = "failed"
)

// statuses are all of them. The place of each is part of what timestamps say, see stampOf.
func statuses() []Status { return []Status{Queued, Pinning, Pinned, Failed} }

// Final reports whether nothing more is to come of it by itself.
func (s Status) Final() bool { return s == Pinned || s == Failed }

// Request is what a tenant asked for: to hold one CID. A tenant may ask for one CID many
// times, and each is a request of its own.
type Request struct {
	// ID is opaque to clients. No other request ever has it.
	ID string
	// Tenant is whose request it is, Owner the id of the principal who made it.
	Tenant, Owner string
	// CID is in canonical text. CIDv0 and CIDv1 of one hash are two.
	CID     string
	Name    string
	Origins []string // multiaddresses
	Meta    map[string]string
	// Created has whole milliseconds. No two requests of a tenant that one instance made
	// have the same; those of two instances may.
	Created time.Time
	Status  Status
	// Info is what there is to say on the status: errors of peers, by peer, and under
	// "replication" that there are to be fewer copies than were asked for.
	Info map[string]string
	// Delegates are multiaddresses of the peers that hold the content or are to. Empty until
	// they are known.
	Delegates []string
	// Size is that of the content in bytes, 0 until it is known.
	Size int64
	// ReplMin and ReplMax are the replication asked for: -1 for every peer, 0 for what the
	// cluster does by default.
	ReplMin, ReplMax int
	Region           string
}

// NewRequest is what a client says of a request.
type NewRequest struct {
	Tenant, Owner    string
	CID              string
	Name             string
	Origins          []string
	Meta             map[string]string
	ReplMin, ReplMax int
	Region           string
}

// Match is how a name is compared.
type Match string

// The ways to compare. The empty Match is Exact.
const (
	Exact    Match = "exact"
	IExact   Match = "iexact"   // without regard to case, by Unicode's full folding
	Partial  Match = "partial"  // the name contains it
	IPartial Match = "ipartial" // both
)

// Query selects requests of a tenant. All that is set must hold.
type Query struct {
	// CIDs are those wanted, at most MaxCIDs. Empty means any.
	CIDs []string
	// Name is compared as Match says. Empty means any.
	Name  string
	Match Match
	// Statuses are those wanted. Empty means any: that only pinned ones are listed by
	// default is a matter of the API.
	Statuses []Status
	// Before and After are exclusive, in whole milliseconds. Zero means without bound.
	Before, After time.Time
	// Limit is 1 to MaxLimit; 0 means DefaultLimit.
	Limit int
	// Meta has entries that those of a request must contain.
	Meta map[string]string
}

// Page is the newest requests that match, newest first.
type Page struct {
	// Count is how many match, those of the page among them. If it is not Exact, there are
	// at least so many.
	Count int
	Exact bool
	// Results has at most Limit requests, except that a millisecond is never split: clients
	// go on with `before`, which has no more digits.
	Results []Request
}

// Quota is what a tenant may hold. Zero means without limit.
type Quota struct{ MaxPins, MaxBytes int64 }

// Usage is what a tenant holds. Both are at least what they say they are between two
// recounts; see the package comment.
type Usage struct {
	Pins, Bytes int64
	// Counted is when it was last counted, zero if never.
	Counted time.Time
}
