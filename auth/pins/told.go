package pins

import (
	"context"
	"time"
)

// Claims are told what becomes of requests: that one is there, when its content is pinned and
// how large that is, and that it is gone.
type Claims interface {
	// Tell returns nil when what it is told will not be lost. After an error it is told again
	// later. What it was told it may be told again at any time, in the same words. Told of
	// nothing, it returns an error if it would return one anyway. It is safe for concurrent use.
	Tell(ctx context.Context, all []Claim) error
}

// Fact is what may be told of a claim.
type Fact int

// The facts, in the order in which they come about. Those between the first and the last may
// be missing.
const (
	FactAccepted Fact = iota + 1
	FactPinned
	FactSized
	FactEnded
)

// Claim is what is known of a request, to those who are told of it. Times have whole
// milliseconds.
type Claim struct {
	// Fact is which of the facts that are known is told.
	Fact Fact
	// Tenant is whose it is, ID that of the request.
	Tenant, ID string
	CID, Name  string
	// Created is when the request was made, Pinned when it was first seen pinned, and Removed
	// when the tenant gave it up. The latter are zero as long as that is not so.
	Created, Pinned, Removed time.Time
	// ReplMax is the replication asked for, as in Request.
	ReplMax int
	// Size is that of the content in bytes as it was known first, 0 until it was pinned. Of
	// what was removed it may be known also if it never was.
	Size int64
}

// has tells whether a fact is known.
func (c *Claim) has(f Fact) bool {
	switch f {
	case FactAccepted:
		return true
	case FactPinned:
		return !c.Pinned.IsZero()
	case FactSized:
		return !c.Pinned.IsZero() && c.Size > 0
	case FactEnded:
		return !c.Removed.IsZero()
	}
	return false
}

// facts returns what is known, one claim for each fact.
func (c Claim) facts() []Claim {
	var all []Claim
	for f := FactAccepted; f <= FactEnded; f++ {
		if c.has(f) {
			c.Fact = f
			all = append(all, c)
		}
	}
	return all
}

// timeOf is a moment as it is stored, zero for 0.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// known is what is known of a request, by the last of its facts.
func (r *row) known() Claim {
	c := Claim{
		Fact: FactAccepted, Tenant: r.Tenant, ID: r.id(), CID: r.CID, Name: r.Name, Created: timeOf(r.created), Pinned: timeOf(r.pinned),
		ReplMax: r.ReplMax, Size: r.sized,
	}
	for f := FactPinned; f <= FactEnded; f++ {
		if c.has(f) {
			c.Fact = f
		}
	}
	return c
}
