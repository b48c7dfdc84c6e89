package invoice

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Explanation shows where the quantities of some lines come from, which share what a meter
// counted, as tiers do. It adds up exactly.
type Explanation struct {
	// Lines are the places of the lines.
	Lines   []int   `json:"lines"`
	Measure Measure `json:"measure"`
	// Total is what the meter counted on all days, in the measure.
	Total Decimal `json:"total"`
	Days  []Day   `json:"days"`
	// Pins may be empty: then nothing is said of pins.
	Pins []Pin `json:"pins"`
	// Others is how many pins are not among Pins, and OthersTotal is their quantity.
	Others      int     `json:"others"`
	OthersTotal Decimal `json:"others_total,omitzero"`
}

// Day is what was used on one day.
type Day struct {
	Date Date `json:"date"`
	// Quantity is that of the day, in the measure. That of a correction is what changed.
	Quantity Decimal `json:"quantity"`
	// Closing is the level at the end of the day, and Peak the highest one: bytes or pins.
	Closing Decimal `json:"closing"`
	Peak    Decimal `json:"peak"`
}

// Pin is one pin's part of it.
type Pin struct {
	RequestID string `json:"request_id"`
	CID       string `json:"cid"`
	Name      string `json:"name,omitzero"`
	// From and To are when it was kept, as far as that is in the period.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Level is its bytes, times the copies, or 1.
	Level Decimal `json:"level"`
	// Quantity is its part of the total, in the measure.
	Quantity Decimal `json:"quantity"`
}

// Explain returns the explanation of some lines of a document, and checks that it adds up: the
// days to what the lines say was measured, and the pins to the days. Of more pins than one
// wants to see, others says how many are not given; then the rest is theirs.
func Explain(d Document, lines []int, days []Day, pins []Pin, others int) (Explanation, error) {
	e := Explanation{Lines: slices.Clone(lines), Days: slices.Clone(days), Pins: slices.Clone(pins), Others: others}
	if len(lines) == 0 || len(days) == 0 || others < 0 {
		return Explanation{}, errors.New("an explanation has lines and days")
	}
	var measured Decimal
	for k, n := range lines {
		i := slices.IndexFunc(d.Lines, func(l Line) bool { return l.Line == n })
		if i < 0 || d.Lines[i].Measure == "" || k > 0 && (e.Measure != d.Lines[i].Measure || !measured.equal(d.Lines[i].Measured)) {
			return Explanation{}, fmt.Errorf("line %d is not measured as the others are", n)
		}
		e.Measure, measured = d.Lines[i].Measure, d.Lines[i].Measured
	}
	for i, day := range days {
		if i > 0 && day.Date <= days[i-1].Date {
			return Explanation{}, fmt.Errorf("%s comes after %s", day.Date, days[i-1].Date)
		}
		e.Total = e.Total.add(day.Quantity)
	}
	if !e.Total.equal(measured) {
		return Explanation{}, fmt.Errorf("the days add up to %s %s, and the lines say %s", e.Total, e.Measure, measured)
	}
	if len(pins) == 0 && others == 0 {
		return e, nil
	}
	rest := e.Total
	for _, p := range pins {
		rest = rest.sub(p.Quantity)
	}
	if others == 0 && rest.Sign() != 0 {
		return Explanation{}, fmt.Errorf("the pins add up to %s less than the days, in %s", rest, e.Measure)
	}
	if others > 0 {
		e.OthersTotal = rest
	}
	return e, nil
}

// of tells whether the explanation is of a document.
func (e Explanation) of(d Document) error {
	again, err := Explain(d, e.Lines, e.Days, e.Pins, e.Others)
	if err != nil {
		return err
	}
	if again.Measure != e.Measure || !again.Total.equal(e.Total) || !again.OthersTotal.equal(e.OthersTotal) {
		return errors.New("an explanation is not what Explain returned")
	}
	return nil
}
