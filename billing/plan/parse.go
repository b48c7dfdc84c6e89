package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Parse reads a plan from YAML, or JSON. The error is Problems: all that is wrong with the
// text, each with the line, in the file of that name. What is probably not meant is in
// Plan.Warnings, and beside the rest in the error if there is one.
func Parse(file string, text []byte) (*Plan, error) {
	r := &reader{file: file}
	p := &Plan{file: file}
	if node := r.read(text); node != nil {
		r.plan(p, node)
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	wrong, warnings := r.problems.split()
	if len(wrong) > 0 {
		return nil, r.problems
	}
	p.warnings = warnings
	if err := p.seal(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

var planName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (r *reader) plan(p *Plan, node *yaml.Node) {
	s := r.section(node, "", "plan", "version", "currency", "effective", "month_basis", "rounding", "tiers", "charges", "minimum")
	s.need("plan", "version", "currency", "effective", "charges")
	if p.name = s.text("plan"); s.has("plan") && !planName.MatchString(p.name) {
		s.add("plan", "is %.70q: write a name of at most 64 characters, of a-z, 0-9, - and _", p.name)
	}
	var ok bool
	if p.version, ok = s.whole("version"); ok && p.version < 1 {
		s.add("version", "is 0: the first version is 1")
	}
	if code := s.text("currency"); code != "" {
		var err error
		if p.currency, err = money.ByCode(code); err != nil {
			s.add("currency", "%s", err)
		}
	}
	p.line = s.line("effective")
	p.effective = s.day("effective")
	p.basis = s.choice("month_basis", calendar, calendar, hours720, hours730)
	p.carry = s.choice("tiers", "reset", "reset", "carry") == "carry"
	p.rounding = s.rounding(p.currency)
	for i, n := range s.list("charges") {
		p.charges = append(p.charges, r.charge(n, fmt.Sprintf("charges[%d]", i)))
	}
	r.doubled(s, p.charges)
	if n := s.members["minimum"]; n != nil {
		m := r.section(n, "minimum", "amount", "prorate")
		m.need("amount")
		amount, _ := m.decimal("amount")
		p.minimum = &minimum{amount, m.yes("prorate", true)}
	}
	p.whole(s)
}

// day returns a member that is a day, or the time at which one begins in UTC.
func (s section) day(key string) Day {
	n := s.members[key]
	if n == nil {
		return 0
	}
	if n.Kind == yaml.ScalarNode {
		if d, err := ParseDay(n.Value); err == nil {
			return d
		}
		if t, err := time.Parse(time.RFC3339, n.Value); err == nil {
			d := DayOf(t)
			if !d.Time().Equal(t) {
				s.add(key, `is %s, within a day: write a day in UTC, as "%s", which is when prices change`, n.Value, d)
			}
			return d
		}
	}
	s.add(key, `is %s: write a day in UTC, as "2026-12-01"`, kind(n))
	return 0
}

func (s section) rounding(c money.Currency) rounding {
	out := rounding{money.HalfEven, c.Digits()}
	n := s.members["rounding"]
	if n == nil {
		return out
	}
	var words []string
	for _, m := range money.Modes() {
		words = append(words, string(m))
	}
	sub := s.r.section(n, "rounding", "line", "digits")
	out.mode = money.Mode(sub.choice("line", string(money.HalfEven), words...))
	if d, ok := sub.whole("digits"); ok {
		out.digits = d
		if d > c.Digits() && c.Code() != "" {
			sub.add("digits", "is %d: %s has %d, and nobody can pay less than the smallest unit", d, c, c.Digits())
		}
	}
	return out
}

func (r *reader) charge(n *yaml.Node, field string) charge {
	s := r.section(n, field, "name", "meter", "unit", "model", "included", "tiers", "package_size", "price", "prorate")
	c := charge{name: s.text("name")}
	if s.has("name") && !printable(c.name) {
		s.add("name", "is %.50q: write what is on the invoice, 1 to 100 characters in a line", c.name)
	}
	s.need("model")
	c.model = s.choice("model", "", graduated, volume, packaged, flat)
	if c.model == flat {
		s.need("name", "price")
		s.without("a flat charge is for no meter", "meter", "unit", "included", "tiers", "package_size")
		c.price, _ = s.decimal("price")
		c.prorate = s.yes("prorate", true)
		return c
	}
	s.need("meter", "unit")
	s.without("what is measured is in proportion already", "prorate")
	s.unit(&c)
	if !s.has("name") && c.unit.meter != "" {
		c.name = map[Meter]string{Storage: "Storage", Pins: "Pins"}[c.unit.meter]
	}
	c.included, _ = s.decimal("included")
	switch c.model {
	case packaged:
		s.need("package_size", "price")
		s.without("a package has one price", "tiers")
		c.price, _ = s.decimal("price")
		var ok bool
		if c.size, ok = s.decimal("package_size"); ok && c.size.Sign() == 0 {
			s.add("package_size", "is 0: write how many units are in a package")
		}
	case graduated, volume:
		s.need("tiers")
		s.without("prices are in the tiers", "price", "package_size")
		before := len(r.problems)
		c.tiers = r.tiers(s)
		if c.model == volume && len(r.problems) == before {
			s.falls(c)
		}
	}
	return c
}

// unit reads the meter and the unit of a charge.
func (s section) unit(c *charge) {
	meter := Meter(s.choice("meter", "", meters()...))
	name := s.text("unit")
	if meter == "" || name == "" {
		return
	}
	known := units(meter)
	for _, u := range known {
		if u == name {
			c.unit = parseUnit(name, meter)
			return
		}
	}
	s.add("unit", "is %.40q, which is no unit of %s: %s", name, meter, meant(name, known, "write one as "+known[len(known)-1]))
}

func (r *reader) tiers(s section) []tier {
	var tiers []tier
	nodes := s.list("tiers")
	for i, n := range nodes {
		sub := r.section(n, fmt.Sprintf("%s.tiers[%d]", s.field, i), "up_to", "unit_price", "flat")
		sub.need("up_to", "unit_price")
		var t tier
		end := sub.members["up_to"]
		switch {
		case end != nil && end.Kind == yaml.ScalarNode && end.Value == "inf" && end.Tag == "!!str":
			t.last = true
			if i < len(nodes)-1 {
				sub.add("up_to", "is inf, and more tiers follow: only the last one has no end")
			}
		case i == len(nodes)-1 && end != nil:
			sub.add("up_to", "is %s in the last tier: write inf, so that all usage has a price", kind(end))
		default:
			var ok bool
			if t.upTo, ok = sub.decimal("up_to"); ok && i > 0 && !tiers[i-1].last && t.upTo.Cmp(tiers[i-1].upTo) <= 0 || ok && t.upTo.Sign() == 0 {
				sub.add("up_to", "is %s, and not more than where the tier begins: tiers go up", t.upTo)
			}
		}
		t.price, _ = sub.decimal("unit_price")
		t.flat, _ = sub.decimal("flat")
		tiers = append(tiers, t)
	}
	return tiers
}

// printable tells whether a text may be a line of an invoice.
func printable(text string) bool {
	if n := utf8.RuneCountInString(text); n == 0 || n > 100 || !utf8.ValidString(text) {
		return false
	}
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
