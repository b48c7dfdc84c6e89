package plan

import (
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// doubled notes charges that would make somebody pay twice, or that lines do not tell
// apart.
func (r *reader) doubled(s section, charges []charge) {
	byMeter, byName := map[Meter]int{}, map[string]int{}
	for i, c := range charges {
		field, line := fmt.Sprintf("charges[%d]", i), s.members["charges"].Content[i].Line
		if first, ok := byMeter[c.unit.meter]; ok && c.unit.meter != "" {
			r.add(line, field, "is for %s, as charges[%d] is: one meter has one charge", c.unit.meter, first)
		} else if first, ok := byName[c.name]; ok && c.name != "" {
			r.add(line, field, "has the name %q, as charges[%d] has: give each its own", c.name, first)
		}
		byMeter[c.unit.meter], byName[c.name] = i, i
	}
}

// falls warns of volume prices with which a little more costs less.
func (s section) falls(c charge) {
	for i := 0; i+1 < len(c.tiers); i++ {
		this, next := c.tiers[i], c.tiers[i+1]
		if at, above := costs(this, this.upTo), costs(next, this.upTo); above.Cmp(at) < 0 {
			s.warn("tiers", "cost %s at %s %s, and %s a little above: with volume prices a bill may fall as usage grows",
				at, this.upTo, c.unit.name, above)
		}
	}
}

// costs is what a quantity costs at the price of a tier.
func costs(t tier, quantity money.Decimal) money.Decimal {
	scale := max(quantity.Scale()+t.price.Scale(), t.flat.Scale())
	n := quantity.Scaled(quantity.Scale())
	n.Mul(n, t.price.Scaled(scale-quantity.Scale()))
	return money.NewDecimal(n.Add(n, t.flat.Scaled(scale)), scale)
}

// whole warns of a version that begins within a month, and has something that is due for
// each version in whole.
func (p *Plan) whole(s section) {
	if p.effective == MonthOf(p.effective).First() {
		return
	}
	for _, c := range p.charges {
		if c.model == flat && !c.prorate {
			s.warn("effective", "is within a month, and %q is not prorated: it is due in whole for the version before, too", c.name)
		}
	}
	if p.minimum != nil && !p.minimum.prorate {
		s.warn("effective", "is within a month, and the minimum is not prorated: it is due in whole for the version before, too")
	}
}
