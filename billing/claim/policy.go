package claim

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// When a claim begins to be billed.
const (
	StartAccepted = "accepted" // when the gateway accepted it
	StartPinned   = "pinned"   // when its content was first seen pinned
)

// Which copies are billed.
const (
	ReplicasRequested = "requested" // as many as were asked for
	ReplicasSingle    = "single"    // one, however many were asked for
)

// Policy is what a claim is billed by. Facts that were made by one policy conflict with those
// of another: it must stay the same for claims that were billed. What is to change for them is
// a matter of corrections.
type Policy struct {
	// Start is StartAccepted or StartPinned.
	Start string
	// Replicas is ReplicasRequested or ReplicasSingle.
	Replicas string
	// DefaultReplicas is how many copies are billed of a claim that asks for as many as the
	// cluster makes by default, AllReplicas of one that asks for a copy at every peer.
	DefaultReplicas, AllReplicas int
	// Since is when billing began: what was held before is billed from then on. Zero for
	// none.
	Since time.Time
	// MaxSize is the largest content that is believed, in bytes of one copy, 0 for any.
	MaxSize int64
	// Window is how old a fact may be that is new, 0 for any age.
	Window time.Duration
}

// Check returns an error if the policy is none.
func (p Policy) Check() error {
	switch {
	case p.Start != StartAccepted && p.Start != StartPinned:
		return fmt.Errorf("start is %.50q, neither %q nor %q", p.Start, StartAccepted, StartPinned)
	case p.Replicas != ReplicasRequested && p.Replicas != ReplicasSingle:
		return fmt.Errorf("replicas is %.50q, neither %q nor %q", p.Replicas, ReplicasRequested, ReplicasSingle)
	case p.DefaultReplicas < 1:
		return fmt.Errorf("default replicas are %d, less than one", p.DefaultReplicas)
	case p.AllReplicas < 1:
		return fmt.Errorf("replicas at every peer are %d, less than one", p.AllReplicas)
	case p.MaxSize < 0:
		return fmt.Errorf("the largest size is %d", p.MaxSize)
	case p.Window < 0:
		return fmt.Errorf("the window is %s", p.Window)
	case !p.Since.IsZero() && !dated(p.Since):
		return errors.New("billing began before 1970 or after 9999")
	}
	return nil
}

// bytes returns what a claim of a known size holds.
func (p Policy) bytes(c events.ClaimData) *big.Int {
	copies := c.Replicas
	switch {
	case p.Replicas == ReplicasSingle:
		copies = 1
	case copies == 0:
		copies = p.DefaultReplicas
	case copies < 0:
		copies = p.AllReplicas
	}
	n := big.NewInt(c.Size)
	return n.Mul(n, big.NewInt(int64(copies)))
}

// begin returns when a claim begins to be billed, and false if it has not begun.
func (p Policy) begin(c events.ClaimData) (time.Time, bool) {
	at := latest(c.Accepted, p.Since)
	if p.Start == StartPinned {
		at = latest(at, c.Pinned)
	}
	return at, p.Start != StartPinned || !c.Pinned.IsZero()
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Ahead is how far the clock of a gateway may be ahead.
const Ahead = 5 * time.Minute

// Timely returns a *RefusedError if one of the facts is later than now by more than Ahead, or
// older than the window. Ask for facts that are new alone: those of a claim that has been there
// for long are old, and are told again with its end.
func (p Policy) Timely(now time.Time, facts ...Fact) error {
	future := now.Add(Ahead).UnixMilli()
	for _, f := range facts {
		switch {
		case f.At > future:
			return refused(ReasonFuture, "%s is at %s, and it is %s", f.Kind, clock(f.At), clock(now.UnixMilli()))
		case p.Window > 0 && f.At < now.Add(-p.Window).UnixMilli():
			return refused(ReasonOld, "%s is at %s, more than %s ago", f.Kind, clock(f.At), p.Window)
		}
	}
	return nil
}

// clock is a time for people.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

// dated reports whether a time has a day that is billed, from 1970 to 9999.
func dated(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1970 && year <= 9999
}

// delta returns the delta of a fact. A number of bytes that is nil is none.
func delta(id [32]byte, at time.Time, bytes *big.Int, pins int64) usage.Delta {
	if bytes == nil {
		bytes = new(big.Int)
	}
	return usage.Delta{ID: id, At: at.UnixMilli(), Bytes: bytes, Pins: pins}
}
