package railstest

import (
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// TestJournal checks what rails rely on. open returns a view of one empty journal, as
// another process would have it, each time; recorded returns what it has of a payment.
func TestJournal(t *testing.T, open func() rails.Journal, recorded func(rail, id string) (rails.Payment, bool)) {
	t.Helper()
	t.Run("the first one wins", func(t *testing.T) { testFirstWins(t, open) })
	t.Run("of many at once one wins", func(t *testing.T) { testOneWins(t, open) })
	t.Run("the later state stays", func(t *testing.T) { testLaterStays(t, open(), recorded) })
}

func testFirstWins(t *testing.T, open func() rails.Journal) {
	one, two := open(), open()
	if kept, err := one.Recall(t.Context(), "a", "k"); kept != "" || err != nil {
		t.Fatalf("an empty journal has %q, %v", kept, err)
	}
	for _, step := range []struct {
		journal     rails.Journal
		value, want string
	}{{one, "1", "1"}, {two, "2", "1"}, {one, "3", "1"}} {
		if kept, err := step.journal.Remember(t.Context(), "a", "k", step.value); kept != step.want || err != nil {
			t.Errorf("after %s: %q, %v, want %s", step.value, kept, err, step.want)
		}
	}
	if kept, err := two.Recall(t.Context(), "a", "k"); kept != "1" || err != nil {
		t.Errorf("it has %q, %v, want 1", kept, err)
	}
	for _, other := range [][2]string{{"b", "k"}, {"a", "k2"}, {"", "k"}, {"a", ""}} {
		if kept, err := one.Recall(t.Context(), other[0], other[1]); kept != "" || err != nil {
			t.Errorf("%q has %q, %v: it was not kept there", other, kept, err)
		}
	}
	if _, err := one.Remember(t.Context(), "a", "empty", ""); err == nil {
		t.Error("nothing was remembered")
	}
}

func testOneWins(t *testing.T, open func() rails.Journal) {
	kept := make([]string, 8)
	var group sync.WaitGroup
	for i := range kept {
		journal := open()
		group.Go(func() {
			var err error
			if kept[i], err = journal.Remember(t.Context(), "a", "race", fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, k := range kept {
		if k == "" || k != kept[0] {
			t.Fatalf("not all have the same one: %q", kept)
		}
	}
}

func testLaterStays(t *testing.T, journal rails.Journal, recorded func(rail, id string) (rails.Payment, bool)) {
	state := func(version uint64, amount int64) rails.Payment {
		return rails.Payment{
			Rail: "a", ID: "x", Version: version, Kind: rails.Paid, Invoice: "I-1", Amount: big.NewInt(amount),
			Currency: rails.Currency{Code: "USD", Digits: 2}, At: time.UnixMilli(1_700_000_000_000).UTC(), Final: version == 3,
		}
	}
	for _, step := range []struct{ version, want uint64 }{{2, 2}, {2, 2}, {1, 2}, {3, 3}, {2, 3}, {3, 3}} {
		if err := journal.Record(t.Context(), state(step.version, int64(step.version))); err != nil {
			t.Fatal(err)
		}
		p, ok := recorded("a", "x")
		want := state(step.want, int64(step.want))
		if !ok || p.Version != want.Version || p.Amount.Cmp(want.Amount) != 0 || p.Kind != want.Kind || p.Invoice != want.Invoice ||
			p.Currency != want.Currency || !p.At.Equal(want.At) || p.Final != want.Final {
			t.Errorf("after version %d it has %+v, %v, want %+v", step.version, p, ok, want)
		}
	}
	bad := state(4, 1)
	bad.Amount = big.NewInt(-1)
	if err := journal.Record(t.Context(), bad); err == nil {
		t.Error("a negative amount was recorded")
	}
}
