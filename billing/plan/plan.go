package plan

import (
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Plan is one version of a price list. Parse makes it.
type Plan struct {
	name      string
	version   int
	currency  money.Currency
	effective Day
	basis     string
	rounding  rounding
	carry     bool
	charges   []charge
	minimum   *minimum

	file      string
	line      int // of effective
	warnings  Problems
	canonical []byte
	digest    string
}

// rounding is how the amount of a line is rounded.
type rounding struct {
	mode   money.Mode
	digits int
}

// The models of charges.
const (
	graduated = "graduated"
	volume    = "volume"
	packaged  = "package"
	flat      = "flat"
)

// charge is what is to be paid for one meter, or in any case if it is flat.
type charge struct {
	name     string
	model    string
	unit     unit          // not of flat
	included money.Decimal // in units a month; not of flat
	tiers    []tier        // of graduated and volume
	size     money.Decimal // of package, in units
	price    money.Decimal // of package and flat
	prorate  bool          // of flat
}

// tier ends at upTo, which belongs to it. The last one has no end.
type tier struct {
	upTo        money.Decimal
	last        bool
	price, flat money.Decimal
}

// minimum is what a month costs at least.
type minimum struct {
	amount  money.Decimal
	prorate bool
}

// Name is the name of the price list, as "standard".
func (p *Plan) Name() string { return p.name }

// Version is its version, from 1.
func (p *Plan) Version() int { return p.version }

// Currency is that of its prices.
func (p *Plan) Currency() money.Currency { return p.currency }

// Effective is the first day on which the version counts.
func (p *Plan) Effective() Day { return p.effective }

// Canonical is the plan as JSON, in a form that comments, the order of keys and zeros at
// the end of numbers do not change. Parse reads it, and makes the same plan of it.
func (p *Plan) Canonical() []byte { return append([]byte(nil), p.canonical...) }

// Digest is the SHA-256 of Canonical, in hexadecimal.
func (p *Plan) Digest() string { return p.digest }

// Warnings are what Parse found that is probably not what was meant.
func (p *Plan) Warnings() Problems { return append(Problems(nil), p.warnings...) }

// String names it, as "standard version 3".
func (p *Plan) String() string { return fmt.Sprintf("%s version %d", p.name, p.version) }

// same tells whether both are one version of one plan.
func (p *Plan) same(q *Plan) bool { return p.name == q.name && p.version == q.version }

// price returns an amount in the plan's currency.
func (p *Plan) price(d money.Decimal) money.Amount { return money.New(d, p.currency) }
