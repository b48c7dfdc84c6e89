package plan

import (
	"fmt"
	"math/big"
	"strings"
)

// Meter is what is measured.
type Meter string

// The meters.
const (
	// Storage is bytes times milliseconds.
	Storage Meter = "storage_byte_ms"
	// Pins is pins times milliseconds.
	Pins Meter = "pin_ms"
)

func meters() []string { return []string{string(Storage), string(Pins)} }

// Quantities is how much was used, by the meter. A meter that is not there was not used.
type Quantities map[Meter]*big.Int

// unit is what a price is for, as GiB-month.
type unit struct {
	name  string
	meter Meter
	size  *big.Int // in bytes, or in pins
	span  string   // hour, day or month
}

// sizes are the first halves of units, by the meter that they are for.
func sizes() map[Meter][]string {
	return map[Meter][]string{
		Storage: {"B", "kB", "MB", "GB", "TB", "PB", "EB", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"},
		Pins:    {"pin", "kpin", "Mpin"},
	}
}

// units are the names of all units of a meter.
func units(meter Meter) []string {
	var all []string
	for _, size := range sizes()[meter] {
		for _, span := range []string{"hour", "day", "month"} {
			all = append(all, size+"-"+span)
		}
	}
	return all
}

// parseUnit reads the name of a unit. The caller has looked whether there is one.
func parseUnit(name string, meter Meter) unit {
	size, span, _ := strings.Cut(name, "-")
	u := unit{name: name, meter: meter, size: big.NewInt(1), span: span}
	prefix := strings.TrimSuffix(strings.TrimSuffix(size, "B"), "pin")
	step := big.NewInt(1000)
	if p, ok := strings.CutSuffix(prefix, "i"); ok {
		prefix, step = p, big.NewInt(1024)
	}
	if prefix == "" {
		return u
	}
	for range 1 + strings.Index("KMGTPE", strings.ToUpper(prefix)) {
		u.size.Mul(u.size, step)
	}
	return u
}

// The values of month_basis: how long a month is, as units go.
const (
	calendar  = "calendar"
	hours720  = "720h"
	hours730  = "730h"
	hourMS    = 3_600_000
	dayInHour = 24
)

// perUnit is how much of its meter the unit is in a month.
func (u unit) perUnit(basis string, m Month) *big.Int {
	hours := int64(1)
	switch {
	case u.span == "day":
		hours = dayInHour
	case u.span == "month" && basis == hours720:
		hours = 720
	case u.span == "month" && basis == hours730:
		hours = 730
	case u.span == "month":
		hours = dayInHour * int64(m.Days())
	}
	n := big.NewInt(hours * hourMS)
	return n.Mul(n, u.size)
}

// used returns how much of a meter was used, 0 if nothing was. What is below 0 is an
// error: an owner whose usage is negative has no bill until somebody has found out why.
func (q Quantities) used(m Meter) (*big.Int, error) {
	n := q[m]
	if n == nil {
		return new(big.Int), nil
	}
	if n.Sign() < 0 {
		return nil, fmt.Errorf("%s is %v, which is below 0", m, n)
	}
	return n, nil
}

// check returns an error if something is measured that no plan knows, or is below 0.
func (q Quantities) check() error {
	for m := range q {
		if m != Storage && m != Pins {
			return fmt.Errorf("%.40q is no meter", string(m))
		}
		if _, err := q.used(m); err != nil {
			return err
		}
	}
	return nil
}

// plus returns both together.
func (q Quantities) plus(more Quantities) Quantities {
	sum := Quantities{}
	for _, m := range []Meter{Storage, Pins} {
		sum[m] = new(big.Int)
		for _, part := range []Quantities{q, more} {
			if part[m] != nil {
				sum[m].Add(sum[m], part[m])
			}
		}
	}
	return sum
}

// none tells whether nothing was used.
func (q Quantities) none() bool {
	for _, n := range q {
		if n != nil && n.Sign() != 0 {
			return false
		}
	}
	return true
}
