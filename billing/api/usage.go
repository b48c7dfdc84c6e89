package api

import (
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

const (
	// days and mostDays are how many days a page has, months and mostMonths how many months.
	days, mostDays     = 100, 400
	months, mostMonths = 12, 60
)

// number is a number of any size, which JSON has as a text and CSV as a number. It embeds none: JSON
// would have a big.Int as a number, which programs read as a float.
type number struct{ Int *big.Int }

// MarshalText implements encoding.TextMarshaler.
func (n number) MarshalText() ([]byte, error) { return []byte(whole(n.Int)), nil }

// String returns it in decimal.
func (n number) String() string { return whole(n.Int) }

// dayView is a day as it is answered.
type dayView struct {
	Day          string `json:"day"`
	Closed       bool   `json:"closed"`
	Version      int64  `json:"version"`
	OpeningBytes number `json:"opening_bytes"`
	ClosingBytes number `json:"closing_bytes"`
	PeakBytes    number `json:"peak_bytes"`
	OpeningPins  int64  `json:"opening_pins"`
	ClosingPins  int64  `json:"closing_pins"`
	ByteMS       number `json:"byte_ms"`
	PinMS        number `json:"pin_ms"`
	// Inconsistent says that something is wrong with it, which somebody looks into.
	Inconsistent bool `json:"inconsistent"`
}

func viewOfDay(d Day) dayView {
	u := d.Usage
	return dayView{
		Day: dateOf(d.Day), Closed: d.Closed, Version: d.Version, OpeningBytes: number{u.Opening.Bytes}, ClosingBytes: number{u.Closing.Bytes},
		PeakBytes: number{u.PeakBytes}, OpeningPins: u.Opening.Pins, ClosingPins: u.Closing.Pins, ByteMS: number{u.ByteMS}, PinMS: number{u.PinMS},
		Inconsistent: u.Negative,
	}
}

// today is in days since 1970.
func (a *API) today() int64 { return usage.DayOf(a.now().UnixMilli()) }

func (a *API) usage(w http.ResponseWriter, c *call) error {
	if err := c.known("from", "to", "granularity", "limit", "cursor", "format"); err != nil {
		return err
	}
	now := a.now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	from, err := c.day("from", usage.DayOf(first.UnixMilli()))
	if err != nil {
		return err
	}
	to, err := c.day("to", a.today())
	if err != nil {
		return err
	}
	if from > to {
		return invalid("from %s is after to %s", dateOf(from), dateOf(to))
	}
	to = min(to, a.today())
	switch granularity := c.query.Get("granularity"); granularity {
	case "", "day":
		return a.usageByDay(w, c, from, to)
	case "month":
		return a.usageByMonth(w, c, from, to)
	default:
		return invalid("granularity %.100q is unknown: use day or month", granularity)
	}
}

func (a *API) usageByDay(w http.ResponseWriter, c *call, from, to int64) error {
	limit, err := c.limit(days, mostDays)
	if err != nil {
		return err
	}
	if from, err = c.next("usage-day", from); err != nil {
		return err
	}
	var p page[dayView]
	end := min(to, from+int64(limit)-1)
	err = a.config.Usage.Days(c.Context(), c.owner, from, end, func(d Day) error {
		p.Items = append(p.Items, viewOfDay(d))
		return nil
	})
	if err != nil {
		return err
	}
	if end < to {
		p.Next = cursorOf("usage-day", strconv.FormatInt(end+1, 10))
	}
	return list(a, w, c, p, []string{"day", "closed", "version", "opening_bytes", "closing_bytes", "peak_bytes", "opening_pins", "closing_pins", "byte_ms", "pin_ms", "inconsistent"},
		func(d dayView) []any {
			return []any{d.Day, d.Closed, d.Version, d.OpeningBytes, d.ClosingBytes, d.PeakBytes, d.OpeningPins, d.ClosingPins, d.ByteMS, d.PinMS, d.Inconsistent}
		})
}

// next reads the number at which a page begins.
func (c *call) next(kind string, standard int64) (int64, error) {
	place, err := c.cursor(kind, 1)
	if err != nil || place == nil {
		return standard, err
	}
	n, err := strconv.ParseInt(place[0], 10, 64)
	if err != nil || n < standard {
		return 0, errCursor()
	}
	return n, nil
}

// monthView is a month as it is answered.
type monthView struct {
	Month string `json:"month"`
	// Complete says that all its days are closed.
	Complete bool `json:"complete"`
	// ByteMS and PinMS are the sums of the days that are closed, OpenByteMS and OpenPinMS those
	// of the others until now, and AdjustedByteMS and AdjustedPinMS what corrections of earlier
	// days add to the month, or take from it.
	ByteMS         number `json:"byte_ms"`
	PinMS          number `json:"pin_ms"`
	OpenByteMS     number `json:"open_byte_ms"`
	OpenPinMS      number `json:"open_pin_ms"`
	AdjustedByteMS number `json:"adjusted_byte_ms"`
	AdjustedPinMS  number `json:"adjusted_pin_ms"`
	PeakBytes      number `json:"peak_bytes"`
	Inconsistent   bool   `json:"inconsistent"`
}

func (a *API) usageByMonth(w http.ResponseWriter, c *call, from, to int64) error {
	limit, err := c.limit(months, mostMonths)
	if err != nil {
		return err
	}
	month, err := c.next("usage-month", int64(ledger.MonthOf(from)))
	if err != nil || month%100 < 1 || month%100 > 12 {
		return errCursor()
	}
	var p page[monthView]
	for ; month <= int64(ledger.MonthOf(to)); month = following(month) {
		if len(p.Items) == limit {
			p.Next = cursorOf("usage-month", strconv.FormatInt(month, 10))
			break
		}
		view, err := a.month(c, int(month))
		if err != nil {
			return err
		}
		p.Items = append(p.Items, view)
	}
	return list(a, w, c, p, []string{"month", "complete", "byte_ms", "pin_ms", "open_byte_ms", "open_pin_ms", "adjusted_byte_ms", "adjusted_pin_ms", "peak_bytes", "inconsistent"},
		func(m monthView) []any {
			return []any{m.Month, m.Complete, m.ByteMS, m.PinMS, m.OpenByteMS, m.OpenPinMS, m.AdjustedByteMS, m.AdjustedPinMS, m.PeakBytes, m.Inconsistent}
		})
}

func (a *API) month(c *call, month int) (monthView, error) {
	m, err := a.config.Usage.Month(c.Context(), c.owner, month)
	if err != nil {
		return monthView{}, err
	}
	view := monthView{
		Month: fmt.Sprintf("%d-%02d", month/100, month%100), Complete: m.Complete, ByteMS: number{m.ByteMS}, PinMS: number{m.PinMS},
		OpenByteMS: number{new(big.Int)}, OpenPinMS: number{new(big.Int)}, AdjustedByteMS: number{m.AdjustedByteMS}, AdjustedPinMS: number{m.AdjustedPinMS},
		PeakBytes: number{m.PeakBytes}, Inconsistent: len(m.Held) > 0,
	}
	if m.Complete {
		return view, nil
	}
	end := usage.DayOf(time.Date(month/100, time.Month(month%100)+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()) - 1
	err = a.config.Usage.Days(c.Context(), c.owner, m.Last+1, min(end, a.today()), func(d Day) error {
		view.OpenByteMS.Int.Add(view.OpenByteMS.Int, d.Usage.ByteMS)
		view.OpenPinMS.Int.Add(view.OpenPinMS.Int, d.Usage.PinMS)
		if d.Usage.PeakBytes.Cmp(view.PeakBytes.Int) > 0 {
			view.PeakBytes = number{d.Usage.PeakBytes}
		}
		view.Inconsistent = view.Inconsistent || d.Usage.Negative
		return nil
	})
	return view, err
}

// following is the month after one, as 202612.
func following(month int64) int64 {
	if month%100 == 12 {
		return month + 89
	}
	return month + 1
}
