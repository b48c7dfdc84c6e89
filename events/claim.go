package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// claimTypes are those of claims, in the order in which their facts come about.
func claimTypes() []Type { return []Type{ClaimAdded, ClaimPinned, ClaimSized, ClaimRemoved} }

// ClaimEvent returns the event of a type that tells of a claim, of which all is given that is
// known: what only later types tell is left out, and At is set. So whoever tells a fact,
// however often and whenever, tells the same bytes.
func ClaimEvent(source string, t Type, known ClaimData) Event {
	d := known
	d.Accepted, d.Pinned, d.Removed = milliseconds(d.Accepted), milliseconds(d.Pinned), milliseconds(d.Removed)
	place := slices.Index(claimTypes(), t)
	if place < slices.Index(claimTypes(), ClaimRemoved) {
		d.Removed = time.Time{}
	}
	if place < slices.Index(claimTypes(), ClaimSized) {
		d.Size = 0
	}
	if place < slices.Index(claimTypes(), ClaimPinned) {
		d.Pinned = time.Time{}
	}
	d.At = d.versionAs(place)
	return Event{Source: source, Type: t, Claim: &d}
}

// Latest returns the type of the last fact that is known of a claim. A size is told of what was
// seen pinned only.
func (d ClaimData) Latest() Type {
	switch {
	case !d.Removed.IsZero():
		return ClaimRemoved
	case d.Pinned.IsZero():
		return ClaimAdded
	case d.Size > 0:
		return ClaimSized
	}
	return ClaimPinned
}

// milliseconds is a time in UTC without what is finer.
func milliseconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

// versionAs is the version as of the type with a place among claimTypes: the latest time
// that is told, so that clocks that differ do not turn the order round, then the place, then
// a part of a hash of the request. It is no version if the time is none that one can have.
func (d *ClaimData) versionAs(place int) Version {
	at := d.Accepted
	for _, later := range []time.Time{d.Pinned, d.Removed} {
		if later.After(at) {
			at = later
		}
	}
	passed := (at.Unix()-uuidEpoch)*ticks + int64(at.Nanosecond())/100
	sum := sha256.Sum256([]byte(d.Owner + "/" + d.RequestID))
	return Version(fmt.Sprintf("%0*x%x%.15s", timeDigits, passed, 8+place, hex.EncodeToString(sum[:])))
}

func (d *ClaimData) key() string      { return "claim/" + d.Owner + "/" + d.RequestID }
func (d *ClaimData) version() Version { return d.At }
func (d *ClaimData) subject() string  { return d.Cid }

func (d *ClaimData) id(kind string) string {
	return strings.Join([]string{d.Owner, d.RequestID, kind}, "/")
}

func (d *ClaimData) check(t Type) error {
	err := firstError(checkName("cid", d.Cid), checkText("owner", d.Owner), checkName("request_id", d.RequestID),
		checkVersion("at", d.At))
	switch {
	case err != nil:
		return err
	case d.Accepted.IsZero():
		return errors.New("accepted is missing")
	case d.Replicas < -1:
		return fmt.Errorf("replicas is %d", d.Replicas)
	case d.Size < 0:
		return fmt.Errorf("size is %d", d.Size)
	}
	for _, field := range []struct {
		name string
		has  bool
		from Type // the first type that tells it
	}{
		{"pinned", !d.Pinned.IsZero(), ClaimPinned}, {"size", d.Size != 0, ClaimSized}, {"removed", !d.Removed.IsZero(), ClaimRemoved},
	} {
		tells := slices.Index(claimTypes(), t) >= slices.Index(claimTypes(), field.from)
		switch {
		case field.has && !tells:
			return fmt.Errorf("%s is not told by %s", field.name, t.Kind())
		case !field.has && tells && (t != ClaimRemoved || field.from == t): // what is removed may never have been pinned
			return fmt.Errorf("%s is missing", field.name)
		}
	}
	return nil
}
