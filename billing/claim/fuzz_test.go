package claim_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// FuzzFacts makes facts of whatever a gateway may tell: it is refused for a reason, or the
// facts can be added up, are the same each time, leave nothing behind a claim that has ended, and
// are in a text that can be shown.
func FuzzFacts(f *testing.F) {
	f.Add("acme", "r1", sampleCid, int64(1_796_000_000_000), int64(1_796_000_600_000), int64(1_796_003_600_000), 3, int64(1000), true, false, int64(0))
	f.Add("", "r/1", "Qm", int64(0), int64(0), int64(0), 0, int64(0), false, true, int64(1))
	f.Add("a\nb", "\xff", "\u202e", int64(-1), int64(math.MinInt64), int64(math.MaxInt64), -1, int64(math.MaxInt64), true, true, int64(math.MinInt64))
	f.Add("=cmd()", "<b>", "x", int64(1), int64(3), int64(2), math.MaxInt, int64(1<<60), false, false, int64(253402300799999))
	f.Add("a", "r", "c", int64(1), int64(2), int64(1), math.MinInt, int64(-1), false, false, int64(5))
	f.Fuzz(func(t *testing.T, owner, request, cid string, accepted, pinned, removed int64, replicas int, size int64, fromPinned, single bool, since int64) {
		c := events.ClaimData{Owner: owner, RequestID: request, Cid: cid, Replicas: replicas, Size: size, Accepted: at(accepted), Pinned: at(pinned), Removed: at(removed)}
		p := policy()
		if fromPinned {
			p.Start = claim.StartPinned
		}
		if single {
			p.Replicas = claim.ReplicasSingle
		}
		p.Since, p.MaxSize = at(since), size&math.MaxInt64&^1
		facts, err := claim.Facts(c, p)
		var no *claim.RefusedError
		switch {
		case p.Check() != nil:
			if err == nil {
				t.Fatalf("a policy that is none: %s", told(facts))
			}
			return
		case err != nil:
			if !errors.As(err, &no) || facts != nil || !utf8.ValidString(err.Error()) || len(err.Error()) > 2000 {
				t.Fatalf("%s, %v", told(facts), err)
			}
			return
		}
		again, err := claim.Facts(c, p)
		if err != nil || len(again) != len(facts) {
			t.Fatalf("again %s, %v", told(again), err)
		}
		bytes, pins, ids := new(big.Int), int64(0), make(map[[32]byte]bool)
		for i, fact := range facts {
			if !fact.Equal(again[i]) || ids[fact.ID] || fact.At < 0 || usage.DayOf(fact.At) > 2_932_896 || fact.At < facts[0].At {
				t.Fatalf("%d: %+v, again %+v", i, fact, again[i])
			}
			if !shown(fact.Owner) || !shown(fact.RequestID) || !shown(fact.Cid) {
				t.Fatalf("it is of %q, %q, %q", fact.Owner, fact.RequestID, fact.Cid)
			}
			ids[fact.ID] = true
			bytes.Add(bytes, fact.Bytes)
			pins += fact.Pins
			if _, err := usage.Fold(usage.DayOf(fact.At), usage.Level{}, []usage.Delta{fact.Delta}); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case len(facts) == 0 && (!fromPinned || !c.Pinned.IsZero()):
			t.Fatal("it is not billed")
		case len(facts) > 0 && !c.Removed.IsZero() && (bytes.Sign() != 0 || pins != 0):
			t.Fatalf("it leaves %s bytes, %d pins", bytes, pins)
		case len(facts) > 0 && c.Removed.IsZero() && (bytes.Sign() != int(min(c.Size, 1)) || pins != 1 || claim.Unsized(c, p) != (c.Size == 0)):
			t.Fatalf("it holds %s bytes, %d pins, and has %d", bytes, pins, c.Size)
		}
	})
}

// at is a time of milliseconds, or, of 0, none.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func shown(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsAny(text, "\x00\t\n\r\x1b\x7f\u202e\u2028")
}
