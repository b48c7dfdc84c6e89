package closing

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// Kind is what is wrong with a claim.
type Kind int

// The kinds.
const (
	// Lacking is a claim of the gateway that billing does not know.
	Lacking Kind = iota
	// Behind is one of which billing does not know all: that it was pinned, how large it is, or that it
	// has ended.
	Behind
	// Different is one of which billing knows something else.
	Different
	// Extra is one that billing counts and the gateway does not have.
	Extra
	// Refused is one that cannot be counted, see package claim.
	Refused

	kinds
)

// String returns the name of a kind.
func (k Kind) String() string {
	return [...]string{"lacking", "behind", "different", "extra", "refused"}[k]
}

// leveling adds up a level.
type leveling struct{ bytes, pins *big.Int }

func newLeveling() *leveling { return &leveling{new(big.Int), new(big.Int)} }

func (l *leveling) add(d usage.Delta) {
	l.bytes.Add(l.bytes, d.Bytes)
	l.pins.Add(l.pins, big.NewInt(d.Pins))
}

// less returns by how much another level is more.
func (l *leveling) less(other usage.Level) usage.Level {
	out := usage.Level{Bytes: new(big.Int).Neg(l.bytes), Pins: other.Pins - l.pins.Int64()}
	if other.Bytes != nil {
		out.Bytes.Add(out.Bytes, other.Bytes)
	}
	return out
}

// compare compares claims of the gateway with what billing knows of them, adds up what the gateway
// has, and mends what is lacking.
func (r *reconciling) compare(ctx context.Context, o *owned, batch []events.ClaimData) error {
	keys := make([]ledger.Key, len(batch))
	for i := range batch {
		keys[i] = ledger.Key{Owner: o.owner, RequestID: batch[i].RequestID}
	}
	known, err := r.Store.Claims(ctx, keys)
	if err != nil {
		return err
	}
	var lacking []events.ClaimData
	for i, d := range batch {
		o.ids = append(o.ids, idOf(d.RequestID))
		r.report.Claims++
		c, there := known[keys[i]]
		counted := d
		if sizes := c.Data().Size; counted.Size == 0 {
			counted.Size = sizes // peers may have told it
		}
		facts, err := claim.Facts(counted, r.Policy)
		if refused := (*claim.RefusedError)(nil); errors.As(err, &refused) {
			r.found(Refused, keys[i], err.Error())
			continue
		} else if err != nil {
			return err
		}
		for _, f := range facts {
			if f.At < o.at {
				o.level.add(f.Delta)
			}
		}
		kind, detail := o.judge(d, c, there, r.Policy.Start == claim.StartPinned)
		if detail == "" {
			continue
		}
		r.found(kind, keys[i], detail)
		if kind == Lacking || kind == Behind {
			lacking = append(lacking, d)
		}
	}
	return r.mend(ctx, lacking)
}

// judge returns what is wrong with what billing knows of a claim, and no detail if nothing is. When it
// was pinned matters only if it is billed from then on.
func (o *owned) judge(d events.ClaimData, c ledger.Claim, there, pinned bool) (Kind, string) {
	settled := func(t time.Time) bool { return !t.IsZero() && t.Before(o.settled) }
	if !settled(d.Accepted) {
		return 0, ""
	}
	if !there {
		return Lacking, "accepted " + d.Accepted.UTC().Format(time.RFC3339Nano)
	}
	said := slices.DeleteFunc(c.Conflicts(), func(column string) bool { return column == "pinned" && !pinned })
	if len(said) > 0 {
		return Different, "its events do not agree in " + strings.Join(said, " and ")
	}
	b := c.Data()
	var behind, differs []string
	part := func(name string, missing, same, old bool) {
		switch {
		case missing && old:
			behind = append(behind, name)
		case !missing && !same:
			differs = append(differs, name)
		}
	}
	if b.Accepted.IsZero() || b.Cid != d.Cid || b.Replicas != d.Replicas || !sameTime(b.Accepted, d.Accepted) {
		differs = append(differs, "terms")
	}
	if !d.Pinned.IsZero() {
		part("pinned", b.Pinned.IsZero(), !pinned || sameTime(b.Pinned, d.Pinned), settled(d.Pinned))
	}
	if d.Size > 0 {
		part("size", b.Size == 0, b.Size == d.Size, settled(d.Pinned))
	}
	if !d.Removed.IsZero() {
		part("removed", b.Removed.IsZero(), sameTime(b.Removed, d.Removed), settled(d.Removed))
	} else if settled(b.Removed) {
		differs = append(differs, "removed")
	}
	switch {
	case len(differs) > 0:
		return Different, fmt.Sprintf("they differ in %s", strings.Join(differs, " and "))
	case len(behind) > 0:
		return Behind, fmt.Sprintf("billing does not know of %s", strings.Join(behind, " and "))
	}
	return 0, ""
}

// sameTime compares as times are stored.
func sameTime(a, b time.Time) bool { return a.UnixMilli() == b.UnixMilli() }

// extra looks for claims that billing counts and the gateway does not have.
func (r *reconciling) extra(ctx context.Context, o *owned) error {
	return r.Store.EachClaim(ctx, o.owner, func(c ledger.Claim) error {
		if _, has := slices.BinarySearch(o.ids, idOf(c.RequestID)); has {
			return nil
		}
		d := c.Data()
		switch {
		case !d.Removed.IsZero() && d.Removed.Before(o.since), !d.Accepted.Before(o.settled):
			return nil // the gateway does not know of it any more, or not yet
		case d.Removed.IsZero():
			r.found(Extra, c.Key, "it has not ended")
		default:
			r.found(Extra, c.Key, "ended "+d.Removed.UTC().Format(time.RFC3339Nano))
		}
		return nil
	})
}

// idOf is a hash of the ID of a request.
func idOf(request string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(request)) // it never fails
	return h.Sum64()
}
