package plan

import (
	"fmt"
	"math/big"
	"strings"
)

// The oracle is a second, naive way to say what a month costs, with fractions and nothing
// of the room: no function of it is called from here. It goes by what a plan says, which
// it also writes as YAML.

// sheet is a plan.
type sheet struct {
	name, currency, mode, basis string
	digits                      int
	carry                       bool
	charges                     []entry
	minimum                     string // none if it is empty
	prorated                    bool
}

// entry is a charge.
type entry struct {
	meter, unit, model, included string
	tiers                        []step
	size, price                  string
	prorated                     bool
}

type step struct{ upTo, price, flat string }

// yaml writes the sheet as a plan.
func (s sheet) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan: %s\nversion: 1\ncurrency: %s\neffective: 2020-01-01\nmonth_basis: %s\nrounding: {line: %s, digits: %d}\n", s.name, s.currency, s.basis, s.mode, s.digits)
	if s.carry {
		b.WriteString("tiers: carry\n")
	}
	b.WriteString("charges:\n")
	for i, e := range s.charges {
		if e.model == "flat" {
			fmt.Fprintf(&b, "  - {name: Fee %d, model: flat, price: %q, prorate: %v}\n", i, e.price, e.prorated)
			continue
		}
		fmt.Fprintf(&b, "  - {meter: %s, unit: %s, model: %s, included: %q", e.meter, e.unit, e.model, e.included)
		if e.model == "package" {
			fmt.Fprintf(&b, ", package_size: %q, price: %q", e.size, e.price)
		} else {
			b.WriteString(", tiers: [")
			for _, t := range e.tiers {
				fmt.Fprintf(&b, "{up_to: %q, unit_price: %q, flat: %q}, ", t.upTo, t.price, t.flat)
			}
			b.WriteString("]")
		}
		b.WriteString("}\n")
	}
	if s.minimum != "" {
		fmt.Fprintf(&b, "minimum: {amount: %q, prorate: %v}\n", s.minimum, s.prorated)
	}
	return b.String()
}

// usedOn is what was used on one day of a month, and by which sheet it is billed.
type usedOn struct {
	sheet          *sheet
	byteMS, pinsMS *big.Int
}

func frac(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(text)
	}
	return r
}

func whole(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

func times(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

func minus(a, b *big.Rat) *big.Rat { return new(big.Rat).Sub(a, b) }

func plus(a, b *big.Rat) *big.Rat { return new(big.Rat).Add(a, b) }

// between is how much of what lies between from and to lies between low and high too.
func between(from, to, low, high *big.Rat) *big.Rat {
	if low.Cmp(from) > 0 {
		from = low
	}
	if high != nil && high.Cmp(to) < 0 {
		to = high
	}
	if to.Cmp(from) <= 0 {
		return new(big.Rat)
	}
	return minus(to, from)
}

// ceiling is the next whole number.
func ceiling(r *big.Rat) *big.Rat {
	n := new(big.Int).Add(r.Num(), r.Denom())
	n.Sub(n, big.NewInt(1))
	return new(big.Rat).SetInt(n.Div(n, r.Denom()))
}

// rounded is an amount, which is not below 0, as a decimal with so many digits.
func (s *sheet) rounded(r *big.Rat) *big.Rat {
	ten := whole(1)
	for range s.digits {
		ten = times(ten, whole(10))
	}
	scaled := times(r, ten)
	low := new(big.Rat).SetInt(new(big.Int).Div(scaled.Num(), scaled.Denom()))
	rest := minus(scaled, low)
	half := rest.Cmp(big.NewRat(1, 2))
	odd := low.Num().Bit(0) == 1
	if s.mode == "up" && rest.Sign() > 0 || s.mode == "half_up" && half >= 0 || s.mode == "half_even" && (half > 0 || half == 0 && odd) {
		low = plus(low, whole(1))
	}
	return times(low, new(big.Rat).Inv(ten))
}

// perUnit is how much byte·ms or pin·ms a unit is in a month with so many days.
func (s *sheet) perUnit(unit string, monthDays int) *big.Rat {
	size, span, _ := strings.Cut(unit, "-")
	sizes := map[string]string{"B": "1", "kB": "1000", "MiB": "1048576", "GB": "1000000000", "GiB": "1073741824", "TiB": "1099511627776", "EiB": "1152921504606846976", "pin": "1", "kpin": "1000", "Mpin": "1000000"}
	hours := map[string]int64{"hour": 1, "day": 24, "month": map[string]int64{"calendar": 24 * int64(monthDays), "720h": 720, "730h": 730}[s.basis]}
	return times(frac(sizes[size]), whole(hours[span]*60*60*1000))
}

// item is a line: what for, and how much.
type item struct {
	kind   string
	amount *big.Rat
}

// bill says what a month costs that has these days.
func bill(days []usedOn) []item {
	var out []item
	all := whole(int64(len(days)))
	type total struct {
		days int64
		sum  *big.Rat
	}
	var order []*sheet
	totals := map[*sheet]*total{}
	once := map[string]bool{}
	before := map[string]*big.Rat{"storage_byte_ms": new(big.Rat), "pin_ms": new(big.Rat)}
	for first := 0; first < len(days); {
		s, last := days[first].sheet, first
		used := map[string]*big.Rat{"storage_byte_ms": new(big.Rat), "pin_ms": new(big.Rat)}
		for ; last < len(days) && days[last].sheet == s; last++ {
			used["storage_byte_ms"].Add(used["storage_byte_ms"], new(big.Rat).SetInt(days[last].byteMS))
			used["pin_ms"].Add(used["pin_ms"], new(big.Rat).SetInt(days[last].pinsMS))
		}
		part := times(whole(int64(last-first)), new(big.Rat).Inv(all))
		if totals[s] == nil {
			totals[s] = &total{sum: new(big.Rat)}
			order = append(order, s)
		}
		totals[s].days += int64(last - first)
		for i, e := range s.charges {
			key := fmt.Sprint(s.name, i)
			for _, it := range s.items(e, used[e.meter], before[e.meter], part, len(days), once[key]) {
				totals[s].sum.Add(totals[s].sum, it.amount)
				out = append(out, it)
			}
			once[key] = true
		}
		for m := range used {
			before[m].Add(before[m], used[m])
		}
		first = last
	}
	for _, s := range order {
		if s.minimum == "" {
			continue
		}
		part := times(whole(totals[s].days), new(big.Rat).Inv(all))
		if !s.prorated {
			part = whole(1)
		}
		if missing := minus(s.rounded(times(frac(s.minimum), part)), totals[s].sum); missing.Sign() > 0 {
			out = append(out, item{"minimum", missing})
		}
	}
	return out
}

// items are the lines of a charge for days that are a part of the month, with what was
// used on them, and before them in the month.
func (s *sheet) items(e entry, used, before, part *big.Rat, monthDays int, again bool) []item {
	if e.model == "flat" {
		if e.prorated {
			return []item{{"flat", s.rounded(times(frac(e.price), part))}}
		}
		if again {
			return nil
		}
		return []item{{"flat", s.rounded(frac(e.price))}}
	}
	if used.Sign() == 0 {
		return nil
	}
	unit := new(big.Rat).Inv(s.perUnit(e.unit, monthDays))
	quota, from := times(frac(e.included), part), new(big.Rat)
	if s.carry {
		quota, from = frac(e.included), times(before, unit)
	}
	to := plus(from, times(used, unit))
	var out []item
	if between(from, to, new(big.Rat), quota).Sign() > 0 {
		out = append(out, item{"included", new(big.Rat)})
	}
	// What is beyond the quota counts from there.
	from, to = between(quota, from, new(big.Rat), nil), between(quota, to, new(big.Rat), nil)
	if from.Cmp(to) == 0 {
		return out
	}
	if e.model == "package" {
		n := minus(ceiling(times(to, new(big.Rat).Inv(frac(e.size)))), ceiling(times(from, new(big.Rat).Inv(frac(e.size)))))
		if n.Sign() > 0 {
			out = append(out, item{"package", s.rounded(times(n, frac(e.price)))})
		}
		return out
	}
	low := new(big.Rat)
	for _, t := range e.tiers {
		var high *big.Rat
		if t.upTo != "inf" {
			high = frac(t.upTo)
		}
		in := between(from, to, low, high)
		if e.model == "volume" {
			in = new(big.Rat)
			if to.Cmp(low) > 0 && (high == nil || to.Cmp(high) <= 0) {
				in = minus(to, from)
			}
		}
		if in.Sign() > 0 {
			out = append(out, item{"usage", s.rounded(times(in, frac(t.price)))})
			if from.Cmp(low) <= 0 && frac(t.flat).Sign() > 0 {
				out = append(out, item{"tier_fee", s.rounded(frac(t.flat))})
			}
		}
		low = high
	}
	return out
}
