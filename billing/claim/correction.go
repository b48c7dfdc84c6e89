package claim

import (
	"math/big"
	"time"
)

// Correction is a decision of a human that something was not as it was billed: from one time
// on, what is held is another amount, or another owner's.
type Correction struct {
	// ID is unique: a correction that is made again with it counts once.
	ID string
	// At is from when on, to the millisecond.
	At time.Time
	// Until is when it ends, which is when the claim does, zero as long as that is not known. A
	// correction is made again when it is: it has the same facts then, and those of its end.
	Until time.Time
	// From is what was billed and is taken away, To what is added in its place.
	From, To Holding
}

// Holding is what one owner is billed for, for one claim.
type Holding struct {
	// Owner is who is billed. It may be Suspense.
	Owner, RequestID, Cid string
	// Bytes and Pins are how many. They are not negative.
	Bytes *big.Int
	Pins  int64
}

// Facts returns less of what was billed and more of what is right, and the same the other way
// round where it ends. Their IDs follow from that of the correction. The error is a *RefusedError.
//
// The two may be of different owners, where nothing compares them. Who keeps corrections
// must refuse another one with the same ID.
func (c Correction) Facts() ([]Fact, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	facts := []Fact{c.fact(KindLess, c.At, c.From, -1), c.fact(KindMore, c.At, c.To, 1)}
	if !c.Until.IsZero() {
		facts = append(facts, c.fact(KindLessEnd, c.Until, c.From, 1), c.fact(KindMoreEnd, c.Until, c.To, -1))
	}
	return facts, nil
}

func (c Correction) fact(kind Kind, at time.Time, h Holding, sign int64) Fact {
	id := hash(correctionFormat, c.ID, string(kind))
	bytes := new(big.Int).Mul(h.bytes(), big.NewInt(sign))
	return Fact{Delta: delta(id, at, bytes, sign*h.Pins), Kind: kind, Owner: h.Owner, RequestID: h.RequestID, Cid: h.Cid}
}

func (c Correction) check() error {
	switch {
	case c.ID == "":
		return refused(ReasonCorrection, "it has no ID")
	case !dated(c.At):
		return refused(ReasonTime, "%s is before 1970 or after 9999", c.At.UTC().Format(time.RFC3339Nano))
	case !c.Until.IsZero() && (c.Until.Before(c.At) || !dated(c.Until)):
		return refused(ReasonTime, "it ends at %s, before it begins or after 9999", c.Until.UTC().Format(time.RFC3339Nano))
	case c.From.equal(c.To):
		return refused(ReasonCorrection, "it changes nothing")
	}
	if err := checkText(ReasonCorrection, c.ID); err != nil {
		return err
	}
	if err := c.From.check(); err != nil {
		return err
	}
	return c.To.check()
}

func (h Holding) bytes() *big.Int {
	if h.Bytes == nil {
		return new(big.Int)
	}
	return h.Bytes
}

func (h Holding) equal(other Holding) bool {
	return h.Owner == other.Owner && h.RequestID == other.RequestID && h.Cid == other.Cid && h.Pins == other.Pins && h.bytes().Cmp(other.bytes()) == 0
}

func (h Holding) check() error {
	switch {
	case h.Owner == "":
		return refused(ReasonOwner, "it is missing")
	case h.RequestID == "":
		return refused(ReasonRequest, "it is missing")
	case h.Cid == "":
		return refused(ReasonCid, "it is missing")
	case h.bytes().Sign() < 0 || h.Pins < 0:
		return refused(ReasonCorrection, "it has %s bytes and %d pins", h.bytes(), h.Pins)
	}
	for _, text := range []struct {
		why  Reason
		text string
	}{{ReasonOwner, h.Owner}, {ReasonRequest, h.RequestID}, {ReasonCid, h.Cid}} {
		if err := checkText(text.why, text.text); err != nil {
			return err
		}
	}
	return nil
}
