package ingest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// claimStream is what becomes of some claims: what each is at the end, and which events told of it.
type claimStream struct {
	policy claim.Policy
	claims []events.ClaimData
	events []claims.Delivery
}

// streams makes claims of two owners, and one without, whose days begin and end anywhere in the
// last days. Names of requests begin with prefix.
func streams(prefix string) *rapid.Generator[claimStream] {
	return rapid.Custom(func(t *rapid.T) claimStream {
		s := claimStream{policy: policy()}
		s.policy.Start = rapid.SampledFrom([]string{claim.StartAccepted, claim.StartPinned}).Draw(t, "start")
		s.policy.Replicas = rapid.SampledFrom([]string{claim.ReplicasRequested, claim.ReplicasSingle}).Draw(t, "copies")
		for i := range rapid.IntRange(1, 8).Draw(t, "claims") {
			ago := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 11*time.Hour + 30*time.Minute, 11*time.Hour + 30*time.Minute + time.Millisecond, 30 * time.Hour, 80 * time.Hour}).Draw(t, "ago")
			d := claimed(prefix+rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "owner"), fmt.Sprint(prefix, i), ago)
			if rapid.IntRange(0, 9).Draw(t, "nobody") == 0 {
				d.Owner = ""
			}
			d.Replicas = rapid.SampledFrom([]int{-1, 0, 1, 3}).Draw(t, "replicas")
			types := []events.Type{events.ClaimAdded}
			if rapid.IntRange(0, 3).Draw(t, "pinned") > 0 {
				d.Pinned = past(d.Accepted.Add(rapid.SampledFrom([]time.Duration{-time.Millisecond, 0, time.Minute, 20 * time.Hour}).Draw(t, "after")))
				types = append(types, events.ClaimPinned)
				if rapid.IntRange(0, 3).Draw(t, "sized") > 0 {
					d.Size = rapid.SampledFrom([]int64{1, 1000, 1 << 40, 1 << 62}).Draw(t, "size")
					types = append(types, events.ClaimSized)
				}
			}
			if rapid.Bool().Draw(t, "removed") {
				d.Removed = past(d.Accepted.Add(rapid.SampledFrom([]time.Duration{-time.Millisecond, 0, time.Hour, 24 * time.Hour}).Draw(t, "held")))
				types = append(types, events.ClaimRemoved)
			}
			if rapid.Bool().Draw(t, "some are missing") { // a gateway tells of a claim what it is when it looks
				types = types[rapid.IntRange(0, len(types)-1).Draw(t, "missing"):]
			}
			s.claims = append(s.claims, d)
			s.events = append(s.events, told(d, types...)...)
		}
		return s
	})
}

// past is a time that is not later than now.
func past(t time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// wanted is what the model says: the lines of the facts by the owner and the day.
type wanted map[string]map[int64][]string

// want works out the facts of a claim. It shares nothing with what is tested but the IDs, which
// are those of the room that makes them.
func (s claimStream) want(t *testing.T) wanted {
	out := make(wanted)
	for _, d := range s.claims {
		ids := make(map[claim.Kind][32]byte)
		facts, err := claim.Facts(d, s.policy)
		must(t, err)
		for _, f := range facts {
			ids[f.Kind] = f.ID
		}
		owner := d.Owner
		if owner == "" {
			owner = "(no owner)"
		}
		if out[owner] == nil {
			out[owner] = make(map[int64][]string)
		}
		add := func(kind claim.Kind, at time.Time, bytes *big.Int, pins int) {
			day := int64(at.Sub(time.Unix(0, 0)) / (24 * time.Hour))
			out[owner][day] = append(out[owner][day], fmt.Sprintf("%s %x %s %s at %d: %s bytes, %d pins", kind, ids[kind], d.RequestID, d.Cid, at.UnixMilli(), bytes, pins))
		}
		copies := map[int]int64{-1: 5, 0: 2, 1: 1, 3: 3}[d.Replicas]
		if s.policy.Replicas == "single" {
			copies = 1
		}
		begin := d.Accepted
		if s.policy.Start == "pinned" {
			if d.Pinned.IsZero() {
				continue
			}
			if d.Pinned.After(begin) {
				begin = d.Pinned
			}
		}
		held, freed := new(big.Int), new(big.Int)
		for range copies {
			held.Add(held, big.NewInt(d.Size))
			freed.Sub(freed, big.NewInt(d.Size))
		}
		add("start", begin, new(big.Int), 1)
		if d.Size > 0 {
			add("size", begin, held, 0)
		}
		if d.Removed.IsZero() {
			continue
		}
		end := d.Removed
		if begin.After(end) {
			end = begin
		}
		add("stop", end, new(big.Int), -1)
		if d.Size > 0 {
			add("free", end, freed, 0)
		}
	}
	for _, days := range out {
		for _, lines := range days {
			slices.Sort(lines)
		}
	}
	return out
}

// check compares all days with the model.
func (w wanted) check(t *testing.T, in *Ingest) {
	t.Helper()
	for owner, days := range w {
		for day := dayOf(now) - 6; day <= dayOf(now)+2; day++ {
			equal(t, fmt.Sprintf("the facts of %s on day %d", owner, day-dayOf(now)), linesOf(t, in, owner, day, days[day]), days[day])
		}
	}
}

// linesOf are the facts of an owner on a day, of nobody those of the stream that is tested.
func linesOf(t *testing.T, in *Ingest, owner string, day int64, want []string) []string {
	t.Helper()
	got := factsOn(t, in, owner, day)
	if owner == claim.Suspense {
		got = slices.DeleteFunc(got, func(l string) bool { return !slices.Contains(want, l) })
	}
	deltas, err := in.store.Deltas(t.Context(), owner, day)
	must(t, err)
	if _, err := usage.Fold(day, usage.Level{}, deltas); err != nil {
		t.Errorf("the day of %s: %v", owner, err)
	}
	return got
}

func rounds(long int) int {
	if os.Getenv("TEST_LONG") == "1" {
		return long
	}
	return max(1, long/20)
}

// The facts of each owner and day are the same, in whatever order events come, how often, in
// what batches, at which of two processes or at both at once.
func TestAnyOrder(t *testing.T) {
	db := openDB(t)
	for seed := range rounds(300) {
		s := streams(fmt.Sprintf("o%d-", seed)).Example(seed)
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		all := slices.Clone(s.events)
		for _, d := range s.events {
			for range rnd.IntN(3) {
				all = append(all, d)
			}
		}
		var done sync.WaitGroup
		two := []*Ingest{instance(t, db, s.policy), instance(t, db, s.policy)}
		for _, in := range two {
			mine := slices.Clone(all)
			rnd.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			if rnd.IntN(2) == 0 && in == two[0] {
				mine = mine[:rnd.IntN(len(mine)+1)] // the other one has all
			}
			batches := split(rnd, mine)
			done.Go(func() {
				for _, b := range batches {
					if err := in.Claims(t.Context(), b); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done.Wait()
		s.want(t).check(t, two[0])
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	equal(t, "put aside is", asideOf(t, instance(t, db, policy())), nil)
}

// A process that is killed between any two of its writes leaves nothing that another one, which
// is given the same again, does not complete.
func TestKilled(t *testing.T) {
	db := openDB(t)
	kills := 0
	for seed := range rounds(60) {
		for left, dead := 0, true; dead; left++ {
			s := streams(fmt.Sprintf("k%d-%d-", seed, left)).Example(seed)
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			rnd.Shuffle(len(s.events), func(i, j int) { s.events[i], s.events[j] = s.events[j], s.events[i] })
			in := instance(t, &dying{DB: db, left: left}, s.policy)
			dead = false
			for _, b := range split(rnd, s.events) {
				if dead = in.Claims(t.Context(), b) != nil; dead {
					kills++
					break
				}
			}
			other := instance(t, db, s.policy)
			for _, b := range split(rnd, s.events) { // nothing was acknowledged, or it comes again
				handle(t, other, b...)
			}
			s.want(t).check(t, other)
			if t.Failed() {
				t.Fatalf("seed %d, killed after %d writes", seed, left)
			}
		}
	}
	if kills < 20 {
		t.Errorf("only %d processes were killed", kills)
	}
}
