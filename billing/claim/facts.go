package claim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// Suspense is who is billed for claims without an owner: nobody, until a Correction gives
// them to one.
const Suspense = "(no owner)"

// Kind is what a fact tells of a claim.
type Kind string

const (
	// KindStart tells that it has begun.
	KindStart Kind = "start"
	// KindSize tells how many bytes it holds.
	KindSize Kind = "size"
	// KindStop tells that it has ended.
	KindStop Kind = "stop"
	// KindFree tells how many bytes it does not hold any more.
	KindFree Kind = "free"
	// KindLess is what a correction takes away.
	KindLess Kind = "less"
	// KindMore is what a correction adds.
	KindMore Kind = "more"
	// KindLessEnd gives back, at the end of a correction, what it took away.
	KindLessEnd Kind = "less-end"
	// KindMoreEnd takes away, at the end of a correction, what it added.
	KindMoreEnd Kind = "more-end"
)

// Fact is one step of what an owner holds.
type Fact struct {
	usage.Delta
	Kind                  Kind
	Owner, RequestID, Cid string
}

// Equal reports whether two facts say the same.
func (f Fact) Equal(other Fact) bool {
	return f.Delta.Equal(other.Delta) && f.Kind == other.Kind && f.Owner == other.Owner && f.RequestID == other.RequestID && f.Cid == other.Cid
}

// Facts returns what a claim is billed for, as far as it is known: start, size, stop, free. There
// is none if it has not begun. It does not look at its version nor at the time, see Timely. The
// error is a *RefusedError if it is the claim's.
func Facts(c events.ClaimData, p Policy) ([]Fact, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	owner, err := check(c, p)
	if err != nil {
		return nil, err
	}
	begin, begun := p.begin(c)
	if !begun {
		return nil, nil
	}
	var facts []Fact
	add := func(kind Kind, at time.Time, bytes *big.Int, pins int64) {
		id := hash(factFormat, owner, c.RequestID, string(kind))
		facts = append(facts, Fact{Delta: delta(id, at, bytes, pins), Kind: kind, Owner: owner, RequestID: c.RequestID, Cid: c.Cid})
	}
	bytes := p.bytes(c)
	add(KindStart, begin, nil, 1)
	if c.Size > 0 {
		add(KindSize, begin, bytes, 0)
	}
	if c.Removed.IsZero() {
		return facts, nil
	}
	end := latest(c.Removed, begin)
	add(KindStop, end, nil, -1)
	if c.Size > 0 {
		add(KindFree, end, new(big.Int).Neg(bytes), 0)
	}
	return facts, nil
}

// Unsized reports whether a claim has begun and its size is not known: no bytes are billed
// until it is told.
func Unsized(c events.ClaimData, p Policy) bool {
	_, begun := p.begin(c)
	return begun && c.Size == 0
}

// check returns who is billed for a claim, or refuses it.
func check(c events.ClaimData, p Policy) (owner string, err error) {
	if owner, err = ownerOf(c); err != nil {
		return "", err
	}
	switch {
	case c.RequestID == "":
		return "", refused(ReasonRequest, "it is missing")
	case c.Cid == "":
		return "", refused(ReasonCid, "it is missing")
	case c.Size < 0:
		return "", refused(ReasonSize, "it is %d bytes", c.Size)
	case p.MaxSize > 0 && c.Size > p.MaxSize:
		return "", refused(ReasonLarge, "it is %d bytes, more than %d", c.Size, p.MaxSize)
	case c.Replicas < -1:
		return "", refused(ReasonReplicas, "they are %d", c.Replicas)
	case c.Accepted.IsZero():
		return "", refused(ReasonTime, "when it was accepted is missing")
	}
	for _, t := range []time.Time{c.Accepted, c.Pinned, c.Removed} {
		if !t.IsZero() && !dated(t) {
			return "", refused(ReasonTime, "%s is before 1970 or after 9999", t.UTC().Format(time.RFC3339Nano))
		}
	}
	if err := checkText(ReasonRequest, c.RequestID); err != nil {
		return "", err
	}
	return owner, checkText(ReasonCid, c.Cid)
}

// ownerOf returns who is billed for a claim.
func ownerOf(c events.ClaimData) (string, error) {
	switch c.Owner {
	case "":
		return Suspense, nil
	case Suspense:
		return "", refused(ReasonOwner, "%q is for claims without an owner", c.Owner)
	}
	return c.Owner, checkText(ReasonOwner, c.Owner)
}

// What is hashed begins with the name of its format, which changes if the format does: IDs
// are stored.
const (
	factFormat       = "pin-billing/claim/fact/1\n"
	correctionFormat = "pin-billing/claim/correction/1\n"
)

// hash is the SHA-256 of a format and of texts, before each of which are its bytes in four
// bytes, so that no two lists of texts are hashed alike.
func hash(format string, texts ...string) [32]byte {
	b := []byte(format)
	for _, text := range texts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return sha256.Sum256(b)
}
