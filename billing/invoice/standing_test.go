package invoice

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Whatever is done to an invoice in whatever order, its state changes only as Next allows and
// says what its sums say, and what is refused changes nothing.
func TestStanding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		yen, err := money.ByCode("JPY")
		if err != nil {
			t.Fatal(err)
		}
		amount := func(n int64) money.Amount { return money.FromMinor(big.NewInt(n), yen) }
		total := rapid.Int64Range(0, 20).Draw(t, "total")
		s := Begin(Document{Currency: yen, Totals: Totals{Gross: amount(total)}})
		var paid, credited int64
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			n := rapid.Int64Range(-1, 12).Draw(t, "amount")
			var after Standing
			var err error
			what := rapid.SampledFrom([]string{"open", "pay", "reverse", "credit", "void", "write off"}).Draw(t, "step")
			allowed := false
			switch what {
			case "open":
				after, err = s.Open()
				allowed = s.State == Draft
			case "pay":
				after, err = s.Pay(amount(n))
				if allowed = n > 0 && s.State != Draft && s.State != Void; allowed {
					paid += n
				}
			case "reverse":
				after, err = s.Reverse(amount(n))
				if allowed = n > 0 && n <= paid; allowed {
					paid -= n
				}
			case "credit":
				after, err = s.Credit(amount(n))
				if allowed = n > 0 && credited+n <= total && s.State != Draft && s.State != Void; allowed {
					credited += n
				}
			case "void":
				after, err = s.Void()
				allowed = (s.State == Open || s.State == Uncollectible) && paid == 0 && credited == 0
			case "write off":
				after, err = s.WriteOff()
				allowed = s.State == Open
			}
			if (err == nil) != allowed {
				t.Fatalf("%s of %d: %+v became %+v, %v", what, n, s, after, err)
			}
			if err != nil && after != s {
				t.Fatalf("%s was refused and changed %+v to %+v", what, s, after)
			}
			if after.State != s.State && !slices.Contains(s.State.Next(), after.State) {
				t.Fatalf("%s: from %s to %s", what, s.State, after.State)
			}
			due, err := after.Due()
			if err != nil || due.Decimal().Cmp(amount(total-credited-paid).Decimal()) != 0 {
				t.Fatalf("%s is due of %+v, %v", due, after, err)
			}
			if settled := after.State == Paid; after.State != Draft && after.State != Void && settled != (total-credited-paid <= 0) {
				t.Fatalf("%+v, and %s is due", after, due)
			}
			s = after
		}
	})
}

func TestStandingSays(t *testing.T) {
	d := made(t, contents(t))
	s := Begin(d)
	if _, err := s.Pay(amountOf(t, "1", d.Currency)); !errors.Is(err, ErrState) {
		t.Errorf("a draft is paid: %v", err)
	}
	s, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(); !errors.Is(err, ErrState) {
		t.Errorf("an open one is opened: %v", err)
	}
	if _, err := s.Pay(amountOf(t, "1", currency(t, "EUR"))); !errors.Is(err, money.ErrCurrencies) {
		t.Errorf("euros for dollars: %v", err)
	}
	if _, err := s.Pay(amountOf(t, "0.001", d.Currency)); err == nil {
		t.Error("a tenth of a cent was paid")
	}
	if _, err := s.Credit(amountOf(t, "33.72", d.Currency)); !errors.Is(err, ErrTooMuch) {
		t.Errorf("more is credited than the invoice: %v", err)
	}
	void, err := s.Void()
	if err != nil || len(void.State.Next()) > 0 {
		t.Errorf("%+v, %v", void, err)
	}
	if _, err := void.Pay(amountOf(t, "1", d.Currency)); !errors.Is(err, ErrState) {
		t.Errorf("a void one is paid: %v", err)
	}
	negative := Begin(Document{Currency: d.Currency, Totals: Totals{Gross: amountOf(t, "-1", d.Currency)}})
	if _, err := negative.Open(); !errors.Is(err, ErrNegative) {
		t.Errorf("an invoice of less than zero is opened: %v", err)
	}
}

// The states and what follows them are a promise to who stores them.
func TestStates(t *testing.T) {
	for state, want := range map[State][]State{
		Draft: {Open, Paid}, Open: {Paid, Void, Uncollectible}, Paid: {Open}, Uncollectible: {Paid, Void}, Void: nil, "other": nil,
	} {
		if got := state.Next(); !slices.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", state, got, want)
		}
	}
}
