package claim_test

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

const (
	firstDay = 20_000
	days     = 5
	dayMS    = 24 * 60 * 60 * 1000
)

// lives are all that there is to know of a claim in the end, within the days.
func lives(request string) *rapid.Generator[events.ClaimData] {
	return rapid.Custom(func(t *rapid.T) events.ClaimData {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			midnight := rapid.Int64Range(firstDay, firstDay+days).Draw(t, "midnight") * dayMS
			ms := midnight + rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(0, dayMS-1)).Draw(t, "after")
			return time.UnixMilli(min(max(ms, firstDay*dayMS), (firstDay+days)*dayMS-1)).UTC()
		})
		most := int64(1) << rapid.SampledFrom([]int{1, 20, 37, 50, 60}).Draw(t, "magnitude")
		c := events.ClaimData{
			Cid: sampleCid, Owner: "acme", RequestID: request, Accepted: moment.Draw(t, "accepted"),
			Replicas: rapid.SampledFrom([]int{-1, 0, 1, 3, 100}).Draw(t, "replicas"),
		}
		if rapid.Bool().Draw(t, "was pinned") {
			c.Pinned = moment.Draw(t, "pinned")
			if rapid.Bool().Draw(t, "was sized") {
				c.Size = rapid.Int64Range(most/2, most).Draw(t, "size")
			}
		}
		if rapid.Bool().Draw(t, "was removed") {
			c.Removed = moment.Draw(t, "removed")
		}
		return c
	})
}

// policies are all that there are, as those who run it choose.
func policies() *rapid.Generator[claim.Policy] {
	return rapid.Custom(func(t *rapid.T) claim.Policy {
		p := claim.Policy{
			Start:           rapid.SampledFrom([]string{claim.StartAccepted, claim.StartPinned}).Draw(t, "start"),
			Replicas:        rapid.SampledFrom([]string{claim.ReplicasRequested, claim.ReplicasSingle}).Draw(t, "replicas"),
			DefaultReplicas: rapid.IntRange(1, 3).Draw(t, "default replicas"), AllReplicas: rapid.IntRange(1, 1000).Draw(t, "all replicas"),
		}
		if rapid.Bool().Draw(t, "began") {
			p.Since = time.UnixMilli(rapid.Int64Range(firstDay*dayMS, (firstDay+1)*dayMS).Draw(t, "since"))
		}
		return p
	})
}

// tellings are the events that the gateway tells of a claim, the last of which has all.
func tellings(t *rapid.T, c events.ClaimData) []events.ClaimData {
	var out []events.ClaimData
	for _, typ := range []events.Type{events.ClaimAdded, events.ClaimPinned, events.ClaimSized, events.ClaimRemoved} {
		e := events.ClaimEvent(events.Source("c"), typ, c)
		encoded, err := e.Encode()
		if err != nil {
			continue // there is nothing of that kind to tell
		}
		parsed, err := events.Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *parsed.Claim)
	}
	return out
}

// area is a claim as two steps, worked out from what it says and nothing else.
func area(c events.ClaimData, p claim.Policy) []integral.Step {
	from, to, ends := c.Accepted.UnixMilli(), c.Removed.UnixMilli(), !c.Removed.IsZero()
	if p.Start == claim.StartPinned {
		if c.Pinned.IsZero() {
			return nil
		}
		from = max(from, c.Pinned.UnixMilli())
	}
	if !p.Since.IsZero() {
		from = max(from, p.Since.UnixMilli())
	}
	copies := map[bool]int{true: 1, false: map[int]int{-1: p.AllReplicas, 0: p.DefaultReplicas, 1: 1, 3: 3, 100: 100}[c.Replicas]}[p.Replicas == claim.ReplicasSingle]
	bytes := new(big.Int).Mul(big.NewInt(c.Size), big.NewInt(int64(copies)))
	steps := []integral.Step{{Name: c.RequestID + " begins", At: from, Bytes: bytes, Pins: big.NewInt(1)}}
	if ends {
		steps = append(steps, integral.Step{Name: c.RequestID + " ends", At: max(from, to), Bytes: new(big.Int).Neg(bytes), Pins: big.NewInt(-1)})
	}
	return steps
}

// book is what is written of facts: one for an ID.
type book map[[32]byte]claim.Fact

func (b book) write(t *rapid.T, facts []claim.Fact) {
	for _, f := range facts {
		if was, there := b[f.ID]; there && !was.Equal(f) {
			t.Fatalf("%v was %v", f, was)
		}
		b[f.ID] = f
	}
}

func (b book) days(t *rapid.T) []usage.Day {
	var out []usage.Day
	var level usage.Level
	for n := int64(firstDay); n < firstDay+days; n++ {
		var deltas []usage.Delta
		for _, f := range b {
			if usage.DayOf(f.At) == n {
				deltas = append(deltas, f.Delta)
			}
		}
		day, err := usage.Fold(n, level, deltas)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, day)
		level = day.Closing
	}
	return out
}

// TestClaimsAreAreas: what the gateway tells of claims, by one policy or another, in any order,
// some of it twice and some of it never, except for the last of each, is billed as the area
// that they hold. What comes after the days are closed becomes adjustments, with which
// it is the same.
func TestClaimsAreAreas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		var told []events.ClaimData
		var steps []integral.Step
		for i := range rapid.IntRange(0, 8).Draw(t, "claims") {
			life := lives(fmt.Sprint("r", i)).Draw(t, "claim")
			steps = append(steps, area(life, p)...)
			all := tellings(t, life)
			told = append(told, all[len(all)-1])
			for _, c := range all[:len(all)-1] {
				told = append(told, rapid.SampledFrom([][]events.ClaimData{{}, {c}, {c, c}}).Draw(t, "told")...)
			}
		}
		if len(told) > 0 {
			told = rapid.Permutation(told).Draw(t, "order")
		}
		inTime := rapid.IntRange(0, len(told)).Draw(t, "in time")
		written, closed := make(book), []usage.Day(nil)
		for i, c := range append(told, events.ClaimData{}) {
			if i == inTime {
				closed = written.days(t)
			}
			if i == len(told) {
				break
			}
			facts, err := claim.Facts(c, p)
			if err != nil {
				t.Fatal(err)
			}
			written.write(t, facts)
		}
		for i, day := range written.days(t) {
			from := int64(firstDay+i) * dayMS
			want := integral.Of(from, from+dayMS, steps)
			if day.ByteMS.Cmp(want.Bytes) != 0 || day.PinMS.Cmp(want.Pins) != 0 || day.PeakBytes.Cmp(want.Highest) != 0 || day.Negative != want.Below || day.Negative {
				t.Fatalf("day %d has %s byte·ms, %s pin·ms, peak %s, negative %v; the areas are %s and %s, the highest is %s, below zero %v",
					i, day.ByteMS, day.PinMS, day.PeakBytes, day.Negative, want.Bytes, want.Pins, want.Highest, want.Below)
			}
			var late []usage.Adjustment
			if a, changed := usage.Diff(firstDay+int64(i), 1, closed[i], day); changed {
				late = append(late, a)
			}
			byteMS, pinMS, err := usage.Adjusted(firstDay+int64(i), closed[i], day.Digest, late)
			if err != nil || byteMS.Cmp(want.Bytes) != 0 || pinMS.Cmp(want.Pins) != 0 {
				t.Fatalf("day %d is adjusted to %s byte·ms, %s pin·ms, %v; the areas are %s and %s", i, byteMS, pinMS, err, want.Bytes, want.Pins)
			}
		}
	})
}

// TestEarlierFactsAreAmongLater: an event has all facts of those before it.
func TestEarlierFactsAreAmongLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, life := policies().Draw(t, "policy"), lives("r1").Draw(t, "claim")
		written := make(book)
		for _, c := range tellings(t, life) {
			facts, err := claim.Facts(c, p)
			if err != nil {
				t.Fatal(err)
			}
			written.write(t, facts)
			if len(written) != len(facts) {
				t.Fatalf("%d facts, and of all events until then %d", len(facts), len(written))
			}
		}
	})
}
