package invoice

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// An explanation adds up to the last unit, or there is none.
func TestExplain(t *testing.T) {
	d := made(t, contents(t))
	good := storage(t, d)
	if good.Measure != ByteMS || !good.Total.equal(exactly(t, "1535.125")) || good.OthersTotal.Sign() <= 0 {
		t.Errorf("%+v", good)
	}
	whole := slices.Clone(good.Pins)
	whole = append(whole, Pin{RequestID: "all others", Quantity: good.OthersTotal})
	if e, err := Explain(d, good.Lines, good.Days, whole, 0); err != nil || e.OthersTotal.Sign() != 0 {
		t.Errorf("all pins: %+v, %v", e, err)
	}
	if e, err := Explain(d, good.Lines, good.Days, nil, 0); err != nil || len(e.Pins) > 0 {
		t.Errorf("no pins: %v", err)
	}
	off := slices.Clone(good.Days)
	off[3].Quantity = off[3].Quantity.add(number(t, "1"))
	twice := append(slices.Clone(good.Days), good.Days[29])
	for want, explain := range map[string]func() (Explanation, error){
		"the days add up to":        func() (Explanation, error) { return Explain(d, good.Lines, off, nil, 0) },
		"the days add up":           func() (Explanation, error) { return Explain(d, good.Lines, good.Days[1:], nil, 0) },
		"comes after 2026-11-30":    func() (Explanation, error) { return Explain(d, good.Lines, twice, nil, 0) },
		"line 4 is not measured as": func() (Explanation, error) { return Explain(d, []int{1, 4}, good.Days, nil, 0) },
		"line 5 is not measured":    func() (Explanation, error) { return Explain(d, []int{5}, good.Days, nil, 0) },
		"line 6 is not measured":    func() (Explanation, error) { return Explain(d, []int{6}, good.Days, nil, 0) },
		"has lines and days":        func() (Explanation, error) { return Explain(d, nil, nil, nil, 0) },
		"the pins add up to":        func() (Explanation, error) { return Explain(d, good.Lines, good.Days, good.Pins, 0) },
	} {
		if e, err := explain(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %+v, %v", want, e, err)
		}
	}
}

// However many pins are shown, those and the others are all.
func TestExplainPins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := Date(20_000)
		d := Document{Lines: []Line{{Line: 1, Measure: PinMS}}}
		var pins []Pin
		total := new(big.Int)
		for range rapid.SampledFrom([]int{1, 3, maxPins - 1, maxPins, maxPins + 1, maxPins + 200}).Draw(t, "pins") {
			n := rapid.Int64Range(0, 1<<62).Draw(t, "quantity")
			total.Add(total, big.NewInt(n))
			pins = append(pins, Pin{Quantity: Whole(big.NewInt(n))})
		}
		d.Lines[0].Measured = Whole(total)
		given := max(1, len(pins)-rapid.SampledFrom([]int{0, 0, 1, 2, 100}).Draw(t, "others"))
		e, err := Explain(d, []int{1}, []Day{{Date: from, Quantity: Whole(total)}}, pins[:given], len(pins)-given)
		if err != nil {
			t.Fatal(err)
		}
		sum := e.OthersTotal
		for _, p := range e.Pins {
			sum = sum.add(p.Quantity)
		}
		if !sum.equal(Whole(total)) {
			t.Fatalf("%s of %s", sum, total)
		}
		s := e.shown(1)
		if rest := len(pins) - min(given, maxPins); len(s.Pins) != min(given, maxPins) || rest > 0 && s.Others != others(rest) || rest == 0 && s.Others != "" {
			t.Fatalf("%d pins are shown, and %q, of %d", len(s.Pins), s.Others, len(pins))
		}
	})
}
