package scyllastate

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// row is what the store knows of one row of pins. The zero row is absent. A row
// with a revision and no pin is the marker of a removed pin.
type row struct {
	rev, prev gocql.UUID
	pin       []byte
}

func (r row) absent() bool { return r.rev == gocql.UUID{} }

// decode returns the pin of the row, nil when it is absent or a marker.
func (r row) decode(c api.Cid) (*api.Pin, error) {
	if r.pin == nil {
		return nil, nil
	}
	pin, err := decodePin(c, r.pin)
	if err != nil {
		return nil, err
	}
	return &pin, nil
}

// decodePin is the inverse of api.Pin.ProtoMarshal, whose bytes are what is
// stored. As in dsstate the key decides the CID. A value that does not decode is
// reported and never passed over: a pin that is silently missing from a listing
// looks like a pin that was removed.
func decodePin(c api.Cid, value []byte) (api.Pin, error) {
	var pin api.Pin
	if err := pin.ProtoUnmarshal(value); err != nil {
		return api.Pin{}, fmt.Errorf("the stored pin of %s is %w: %w; ipfs-cluster-service state import replaces the row", c, state.ErrCorrupt, err)
	}
	pin.Cid = c
	return pin, nil
}

// content is what a row is about to hold.
type content struct {
	// value is the stored pin and pin its decoded form, from which the
	// readable columns are taken: the table shows what a reader gets.
	value []byte
	pin   api.Pin
}

func encodePin(pin api.Pin) (*content, error) {
	value, err := pin.ProtoMarshal()
	if err != nil {
		return nil, fmt.Errorf("encoding the pin of %s: %w", pin.Cid, err)
	}
	return newContent(pin.Cid, value)
}

// newContent takes a value as it is, also one that an older version encoded
// differently. One that is too large is refused here, before anything is written.
// A larger pin that is in the table already is read and removed like any other.
func newContent(c api.Cid, value []byte) (*content, error) {
	if len(value) == 0 {
		return nil, fmt.Errorf("the pin of %s has no value", c)
	}
	if err := state.CheckPinSize(c, len(value)); err != nil {
		return nil, err
	}
	pin, err := decodePin(c, value)
	if err != nil {
		return nil, err
	}
	return &content{value: value, pin: pin}, nil
}

// createdOf is the time of a pin, nil when it has none.
func createdOf(pin *api.Pin) *time.Time {
	if pin.Timestamp.IsZero() {
		return nil
	}
	return &pin.Timestamp
}

// peers are the allocations as text.
func (c *content) peers() []string {
	out := make([]string, len(c.pin.Allocations))
	for i, p := range c.pin.Allocations {
		out[i] = p.String()
	}
	return out
}

// tick is the resolution of a timeuuid.
const tick = 100 * time.Nanosecond

// newUUID makes a timeuuid. All bits but the time are random: two processes on
// one machine would share a node number, and a revision must be unique.
func newUUID(t time.Time) gocql.UUID {
	var random [8]byte
	_, _ = rand.Read(random[:]) // documented to never fail
	ticks := (t.Unix()-uuidEpoch)*1e7 + int64(t.Nanosecond()/100)
	clock := uint32(random[0])<<8 | uint32(random[1])
	random[2] |= 1 // multicast: not the address of a network card (RFC 9562, 6.10)
	return gocql.TimeUUIDWith(ticks, clock, random[2:])
}

// uuidEpoch is 1582-10-15, where UUID time starts, as Unix seconds.
const uuidEpoch = -12219292800

// nextRev makes a revision that is later than old, whatever the clock says.
func nextRev(now time.Time, old gocql.UUID) gocql.UUID {
	if (old != gocql.UUID{}) {
		if after := old.Time().Add(tick); after.After(now) {
			now = after
		}
	}
	return newUUID(now)
}

// later reports whether revision a is later than b. The zero revision is
// earlier than every other.
func later(a, b gocql.UUID) bool {
	switch {
	case b == gocql.UUID{}:
		return a != gocql.UUID{}
	case a == gocql.UUID{}:
		return false
	}
	return a.Timestamp() > b.Timestamp()
}
