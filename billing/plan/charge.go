package plan

import (
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// axis counts the usage of a month for one charge in whole numbers, so fine that each
// byte·ms, each edge of a tier and each part of a quota is one.
type axis struct {
	perMeter *big.Int // for each byte·ms or pin·ms
	perUnit  *big.Int // for each unit
}

func (c charge) axis(basis string, m Month) axis {
	scale := max(c.included.Scale(), c.size.Scale())
	for _, t := range c.tiers {
		scale = max(scale, t.upTo.Scale())
	}
	a := axis{perMeter: money.Pow10(scale)}
	a.perMeter.Mul(a.perMeter, big.NewInt(int64(m.Days())))
	a.perUnit = c.unit.perUnit(basis, m)
	a.perUnit.Mul(a.perUnit, a.perMeter)
	return a
}

// at is where a quantity of units is.
func (a axis) at(units money.Decimal) *big.Int {
	n := units.Scaled(units.Scale())
	return n.Mul(n, new(big.Int).Quo(a.perUnit, money.Pow10(units.Scale())))
}

// charge adds the lines of one charge for a stretch.
func (r *rater) charge(s Stretch, c charge) error {
	if c.model == flat {
		return r.flat(s, c)
	}
	used, err := s.Used.used(c.unit.meter)
	if err != nil || used.Sign() == 0 {
		return err
	}
	a := c.axis(s.Plan.basis, r.month)
	from, quotaDays := new(big.Int), s.To-s.From
	if s.Plan.carry {
		from.Mul(r.before[c.unit.meter], a.perMeter)
		quotaDays = Day(r.month.Days())
	}
	to := new(big.Int).Mul(used, a.perMeter)
	to.Add(to, from)

	// The quota of a stretch is in proportion to its days.
	quota := a.at(c.included)
	quota.Mul(quota, big.NewInt(int64(quotaDays))).Quo(quota, big.NewInt(int64(r.month.Days())))
	l := Line{From: s.From, To: s.To, Meter: c.unit.meter, Measured: used.String(), Unit: c.unit.name}
	if free := new(big.Int).Sub(least(to, quota), from); free.Sign() > 0 {
		included := l
		included.Kind, included.Description = Included, c.name+", included"
		if err := r.add(s.Plan, included, free, a.perUnit, money.Decimal{}); err != nil {
			return err
		}
	}
	from, to = beyond(from, quota), beyond(to, quota)
	if to.Cmp(from) <= 0 {
		return nil
	}
	switch c.model {
	case packaged:
		return r.packages(s.Plan, c, l, from, to, a.at(c.size))
	case volume:
		return r.volume(s.Plan, c, l, a, from, to)
	default:
		return r.graduated(s.Plan, c, l, a, from, to)
	}
}

// graduated adds a line for what of (from, to] is in each tier.
func (r *rater) graduated(p *Plan, c charge, l Line, a axis, from, to *big.Int) error {
	for i, begin := range c.begins(a) {
		if to.Cmp(begin) <= 0 {
			break
		}
		end := to
		if !c.tiers[i].last {
			end = least(to, a.at(c.tiers[i].upTo))
		}
		in := new(big.Int).Sub(end, most(from, begin))
		if in.Sign() <= 0 {
			continue
		}
		if err := r.tier(p, c, i, l, in, a.perUnit, from.Cmp(begin) <= 0); err != nil {
			return err
		}
	}
	return nil
}

// volume adds a line for all of (from, to] at the price of the tier that to is in.
func (r *rater) volume(p *Plan, c charge, l Line, a axis, from, to *big.Int) error {
	begins := c.begins(a)
	i := len(begins) - 1
	for i > 0 && to.Cmp(begins[i]) <= 0 {
		i--
	}
	return r.tier(p, c, i, l, new(big.Int).Sub(to, from), a.perUnit, from.Cmp(begins[i]) <= 0)
}

// begins is where each tier begins. What is exactly there belongs to the tier before.
func (c charge) begins(a axis) []*big.Int {
	begins := []*big.Int{new(big.Int)}
	for _, t := range c.tiers[:len(c.tiers)-1] {
		begins = append(begins, a.at(t.upTo))
	}
	return begins
}

// tier adds the lines of a tier: usage at its price, and its fee if it was reached now.
func (r *rater) tier(p *Plan, c charge, i int, l Line, in, perUnit *big.Int, reached bool) error {
	l.Kind, l.Description = Usage, c.name
	l.TierFrom, l.TierTo = "0", c.tiers[i].end()
	if i > 0 {
		l.TierFrom = c.tiers[i-1].end()
		l.Description += fmt.Sprintf(", above %s %s", l.TierFrom, l.Unit)
	}
	if !c.tiers[i].last {
		l.Description += fmt.Sprintf(", up to %s %s", l.TierTo, l.Unit)
	}
	if err := r.add(p, l, in, perUnit, c.tiers[i].price); err != nil {
		return err
	}
	if !reached || c.tiers[i].flat.Sign() == 0 {
		return nil
	}
	l.Kind, l.Unit = TierFee, "tier"
	l.Description += ", fee"
	one := big.NewInt(1)
	return r.add(p, l, one, one, c.tiers[i].flat)
}

// packages adds a line for the packages that (from, to] opens.
func (r *rater) packages(p *Plan, c charge, l Line, from, to, size *big.Int) error {
	n := up(to, size)
	n.Sub(n, up(from, size))
	if n.Sign() == 0 {
		return nil
	}
	l.Kind, l.Description = Package, c.name
	l.Unit = fmt.Sprintf("package of %s %s", c.size, c.unit.name)
	return r.add(p, l, n, big.NewInt(1), c.price)
}

// flat adds what is due for the days of a stretch.
func (r *rater) flat(s Stretch, c charge) error {
	days, of := min(s.To, r.through)-s.From, int64(r.month.Days())
	if days <= 0 {
		return nil
	}
	l := Line{Kind: Flat, Description: c.name, From: s.From, To: s.From + days, Unit: "month"}
	if c.prorate {
		return r.add(s.Plan, l, big.NewInt(int64(days)), big.NewInt(of), c.price)
	}
	due := s.Plan.String() + " " + c.name
	if r.due[due] {
		return nil
	}
	r.due[due] = true
	one := big.NewInt(1)
	return r.add(s.Plan, l, one, one, c.price)
}

func least(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func most(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// beyond is how much of a is beyond b, 0 if nothing is.
func beyond(a, b *big.Int) *big.Int {
	return most(new(big.Int).Sub(a, b), new(big.Int))
}

// up is a divided by b, rounded up.
func up(a, b *big.Int) *big.Int {
	n, rest := new(big.Int).QuoRem(a, b, new(big.Int))
	if rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	return n
}
