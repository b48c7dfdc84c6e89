package events

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawClaim is what may be known of a claim, with clocks that differ.
func drawClaim(t *rapid.T) ClaimData {
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return sampleTime().Add(time.Duration(rapid.Int64Range(-2000, 2000).Draw(t, "ms")) * time.Millisecond)
	})
	d := ClaimData{Cid: sampleCid, Owner: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "owner"), RequestID: "r", Accepted: at.Draw(t, "accepted"), Replicas: -1}
	if rapid.Bool().Draw(t, "is pinned") {
		d.Pinned = at.Draw(t, "pinned")
	}
	if rapid.Bool().Draw(t, "is sized") {
		d.Size = rapid.Int64Range(1, 1<<60).Draw(t, "size")
	}
	if rapid.Bool().Draw(t, "is removed") {
		d.Removed = at.Draw(t, "removed")
	}
	return d
}

// TestClaimIsToldTheSame shows that what is learnt later changes no byte of what was told, that
// a later type has all that an earlier one had, and that its version is newer, whatever the
// clocks have said.
func TestClaimIsToldTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawClaim(t)
		known := all // at an earlier moment
		if rapid.Bool().Draw(t, "not removed yet") {
			known.Removed = time.Time{}
			if rapid.Bool().Draw(t, "not sized yet") {
				known.Size = 0
				if rapid.Bool().Draw(t, "not pinned yet") {
					known.Pinned = time.Time{}
				}
			}
		}
		var last *ClaimData
		for _, typ := range claimTypes() {
			e := ClaimEvent(Source("c"), typ, all)
			if e.Claim.check(typ) != nil {
				continue // there is nothing of that kind to tell
			}
			if now := ClaimEvent(Source("c"), typ, known); now.Claim.check(typ) == nil && known.Latest() != ClaimRemoved {
				if a, b := mustEncode(t, now), mustEncode(t, e); !bytes.Equal(a, b) {
					t.Fatalf("told as\n%s and later as\n%s", a, b)
				}
			}
			if last != nil && !Newer(e.Claim.At, last.At) {
				t.Fatalf("%s is not newer than %s", e.Claim.At, last.At)
			}
			if last != nil && (!last.Pinned.Equal(e.Claim.Pinned) && !last.Pinned.IsZero() || last.Size != e.Claim.Size && last.Size != 0) {
				t.Fatalf("%+v lacks what was in %+v", e.Claim, last)
			}
			if back, err := Parse(mustEncode(t, e)); err != nil || !reflect.DeepEqual(back, e) {
				t.Fatalf("%+v came back as %+v, %v", e, back, err)
			}
			last = e.Claim
		}
		if latest := ClaimEvent(Source("c"), all.Latest(), all); latest.Claim.check(latest.Type) != nil || last.At != latest.Claim.At {
			t.Fatalf("the latest of %+v is %s", all, latest.Type)
		}
	})
}

func mustEncode(t *rapid.T, e Event) []byte {
	encoded, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// TestClaimVersion shows the parts of a version, and that two requests of one moment have two.
func TestClaimVersion(t *testing.T) {
	d := sampleClaim()
	added, removed := ClaimEvent("/", ClaimAdded, d).Claim, ClaimEvent("/", ClaimRemoved, d).Claim
	if at := sampleTime().Truncate(time.Millisecond); !added.At.Time().Equal(at) || !added.Accepted.Equal(at) || !removed.At.Time().Equal(at.Add(240*time.Hour)) {
		t.Errorf("%+v at %s, removed at %s", added, added.At.Time(), removed.At.Time())
	}
	d.RequestID = "other"
	if other := ClaimEvent("/", ClaimAdded, d).Claim.At; other == added.At || other[:timeDigits+1] != added.At[:timeDigits+1] {
		t.Errorf("%s and %s", other, added.At)
	}
	for _, at := range []time.Time{{}, time.Unix(1<<40, 0), time.Unix(uuidEpoch-1, 0)} {
		d.Accepted, d.Removed = at, at
		d.Pinned = at
		if e := ClaimEvent("/", ClaimRemoved, d); e.Claim.check(ClaimRemoved) == nil {
			t.Errorf("%s is told as %+v", at, e.Claim)
		}
	}
}
