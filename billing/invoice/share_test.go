package invoice

import (
	"errors"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// units draws a number of smallest units: mostly few, some that no int64 holds.
func units(t *rapid.T, label string) *big.Int {
	n := big.NewInt(rapid.Int64Range(-1000, 100_000).Draw(t, label))
	if rapid.IntRange(0, 4).Draw(t, label+" is large") == 0 {
		n.Mul(n, money.Pow10(rapid.IntRange(10, 25).Draw(t, label+" zeros")))
		n.Add(n, big.NewInt(rapid.Int64Range(0, 9).Draw(t, label+" end")))
	}
	return n
}

// between draws a number from 1 to most.
func between(t *rapid.T, label string, most *big.Int) *big.Int {
	if rapid.Bool().Draw(t, label+" is all") {
		return new(big.Int).Set(most)
	}
	bytes := rapid.SliceOfN(rapid.Byte(), len(most.Bytes())+1, len(most.Bytes())+1).Draw(t, label)
	n := new(big.Int).SetBytes(bytes)
	return n.Add(n.Mod(n, most), big.NewInt(1))
}

// Shares add up, none is more than its weight, and each is next to its exact value.
func TestShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := make([]*big.Int, rapid.IntRange(1, 8).Draw(t, "parts"))
		for i := range weights {
			weights[i] = units(t, "weight")
		}
		all := sum(weights)
		if all.Sign() <= 0 {
			weights[0].Add(weights[0], new(big.Int).Sub(big.NewInt(1), all))
			all = sum(weights)
		}
		total := between(t, "total", all)
		shares := share(total, weights)
		if sum(shares).Cmp(total) != 0 {
			t.Fatalf("%v of %v: %v is %v", total, weights, shares, sum(shares))
		}
		for i, w := range weights {
			if shares[i].CmpAbs(w) > 0 || shares[i].Sign()*w.Sign() < 0 {
				t.Fatalf("%v of %v: %v", total, weights, shares)
			}
			off := new(big.Int).Mul(shares[i], all)
			off.Sub(off, new(big.Int).Mul(total, w))
			if off.CmpAbs(all) >= 0 {
				t.Fatalf("%v of %v: share %d is %v", total, weights, i, shares[i])
			}
			if total.Cmp(all) == 0 && shares[i].Cmp(w) != 0 {
				t.Fatalf("all of %v: %v", weights, shares)
			}
		}
	})
}

// What is left over goes to those that lost most, and of equals to the first.
func TestShareRemainder(t *testing.T) {
	for _, test := range []struct {
		total         int64
		weights, want []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{10, []int64{13, 14, 73}, []int64{1, 2, 7}},
		{1, []int64{1, 2}, []int64{0, 1}},
		{5, []int64{-10, 20}, []int64{-5, 10}},
		{1, []int64{0, 0, 7}, []int64{0, 0, 1}},
		{-10, []int64{-13, -14, -73}, []int64{-1, -2, -7}},
	} {
		weights := make([]*big.Int, len(test.weights))
		for i, w := range test.weights {
			weights[i] = big.NewInt(w)
		}
		got := share(big.NewInt(test.total), weights)
		for i, want := range test.want {
			if got[i].Int64() != want {
				t.Errorf("%d of %v is %v, want %v", test.total, test.weights, got, test.want)
				break
			}
		}
	}
}

// someInvoice draws an issued invoice in some currency, of which there is something to credit.
func someInvoice(t *rapid.T) Document {
	c, err := money.ByCode(rapid.SampledFrom([]string{"JPY", "USD", "KWD", "USDC", "USDFC"}).Draw(t, "currency"))
	if err != nil {
		t.Fatal(err)
	}
	base := contentsOf(t)
	base.Currency, base.Lines, base.Region.Rates = c, nil, nil
	base.Region.Rounding = rapid.SampledFrom(append(money.Modes(), "")).Draw(t, "rounding")
	net := new(big.Int)
	for range rapid.IntRange(1, 8).Draw(t, "lines") {
		n := units(t, "amount")
		net.Add(net, n)
		base.Lines = append(base.Lines, Line{Kind: "usage", Description: "Storage", Period: base.Period, Amount: money.FromMinor(n, c)})
	}
	if net.Sign() <= 0 {
		n := new(big.Int).Sub(big.NewInt(rapid.Int64Range(1, 50).Draw(t, "net")), net)
		base.Lines = append(base.Lines, Line{Kind: "minimum", Description: "Minimum", Period: base.Period, Amount: money.FromMinor(n, c)})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "taxes") {
		percent := Decimal{money.NewDecimal(big.NewInt(rapid.Int64Range(0, 30_000).Draw(t, "rate")), rapid.IntRange(3, 5).Draw(t, "digits of the rate"))}
		base.Region.Rates = append(base.Region.Rates, Rate{string(rune('A' + i)), percent})
	}
	d, err := New(base)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = d.Issue("s", "n-1", base.Period.To, base.Period.To); err != nil {
		t.Fatal(err)
	}
	return d
}

// contentsOf are contents without a test's own type.
func contentsOf(t *rapid.T) Contents {
	from := Date(20_000)
	return Contents{
		Owner: "acme", Period: Period{from, from + 30}, Seller: Party{Name: "Pinning Ltd"}, Buyer: Party{Name: "Acme"}, Usage: sum1,
		Region: Region{Name: rapid.SampledFrom([]string{"DE", "US-CA"}).Draw(t, "region")},
	}
}

// However an invoice is credited, the notes tie out to its smallest unit: each adds up to what
// was asked, together they are never more than the invoice in any line or tax, and the last
// takes what is left of each.
func TestCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := someInvoice(t)
		rest, err := d.parts()
		if err != nil {
			t.Fatal(err)
		}
		var notes []Document
		for len(notes) < 12 {
			left, err := Left(d, notes)
			if err != nil {
				t.Fatal(err)
			}
			n, err := left.Minor()
			if err != nil || n.Cmp(sum(rest)) != 0 {
				t.Fatalf("left is %v, %v, want %v", n, err, sum(rest))
			}
			if _, err := Credit(d, notes, money.FromMinor(new(big.Int).Add(n, big.NewInt(1)), d.Currency), "too much"); !errors.Is(err, ErrTooMuch) {
				t.Fatalf("one unit more than is left: %v", err)
			}
			if n.Sign() == 0 {
				break
			}
			amount := between(t, "credited", n)
			if len(notes) == 11 {
				amount = n
			}
			note, err := Credit(d, notes, money.FromMinor(amount, d.Currency), "why")
			if err != nil {
				t.Fatal(err)
			}
			if note, err = note.Issue("c", "c-"+string(rune('a'+len(notes))), d.Issued, 0); err != nil {
				t.Fatal(err)
			}
			if gross, err := note.Totals.Gross.Minor(); err != nil || gross.Cmp(amount) != 0 {
				t.Fatalf("%v credited, %v wanted, %v", gross, amount, err)
			}
			for _, l := range note.Lines {
				take(t, d, rest, l.Line-1, l.Amount)
			}
			if len(note.Taxes) != len(d.Taxes) {
				t.Fatalf("%d taxes of %d", len(note.Taxes), len(d.Taxes))
			}
			for i, tax := range note.Taxes {
				take(t, d, rest, len(d.Lines)+i, tax.Amount)
			}
			notes = append(notes, note)
		}
		for i, n := range rest {
			if n.Sign() != 0 {
				t.Fatalf("%v is left of part %d after all was credited", n, i)
			}
		}
	})
}

// take takes an amount from what is left, and fails if it is more.
func take(t *rapid.T, d Document, rest []*big.Int, at int, a money.Amount) {
	n, err := d.minor("a part", a)
	if err != nil {
		t.Fatal(err)
	}
	if n.CmpAbs(rest[at]) > 0 || n.Sign()*rest[at].Sign() < 0 {
		t.Fatalf("%v credited of %v in part %d", n, rest[at], at)
	}
	rest[at].Sub(rest[at], n)
}

// The totals are the sums, and each tax is its rate of the sum, rounded once.
func TestTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := someInvoice(t)
		net := new(big.Rat)
		unit := new(big.Rat).SetFrac(one(), money.Pow10(d.Currency.Digits()))
		for _, l := range d.Lines {
			net.Add(net, exact(t, l.Amount))
		}
		tax := new(big.Rat)
		for _, x := range d.Taxes {
			tax.Add(tax, exact(t, x.Amount))
			want := new(big.Rat).Mul(net, x.Percent.over(big.NewInt(100)))
			off := new(big.Rat).Sub(exact(t, x.Amount), want)
			twice := new(big.Rat).Add(off, off)
			half := new(big.Rat).Abs(twice).Cmp(unit)
			switch {
			case new(big.Rat).Abs(off).Cmp(unit) >= 0, x.Rounding == money.Down && off.Sign() > 0, x.Rounding == money.Up && off.Sign() < 0,
				(x.Rounding == money.HalfUp || x.Rounding == money.HalfEven) && half > 0, x.Rounding == money.HalfUp && half == 0 && off.Sign() < 0:
				t.Fatalf("%s%% of %s, rounded %s, is %s", x.Percent, net, x.Rounding, x.Amount)
			}
		}
		if exact(t, d.Totals.Net).Cmp(net) != 0 || exact(t, d.Totals.Tax).Cmp(tax) != 0 || exact(t, d.Totals.Gross).Cmp(new(big.Rat).Add(net, tax)) != 0 {
			t.Fatalf("the totals are %v, of %s and %s", d.Totals, net, tax)
		}
	})
}

func exact(t *rapid.T, a money.Amount) *big.Rat {
	r, ok := new(big.Rat).SetString(a.Text())
	if !ok {
		t.Fatal(a)
	}
	return r
}
