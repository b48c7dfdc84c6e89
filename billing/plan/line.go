package plan

import (
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Kind is what a line is for.
type Kind string

// The kinds of lines.
const (
	// Included is usage that the plan has for nothing.
	Included Kind = "included"
	// Usage is usage at the price of a tier.
	Usage Kind = "usage"
	// Package is packages of usage, those that are not full too.
	Package Kind = "package"
	// TierFee is what reaching a tier costs.
	TierFee Kind = "tier_fee"
	// Flat is what is due in any case.
	Flat Kind = "flat"
	// Minimum is what is missing to the least that a month costs.
	Minimum Kind = "minimum"
)

// Line is a line of an invoice.
type Line struct {
	Kind    Kind   `json:"kind"`
	Plan    string `json:"plan"`
	Version int    `json:"version"`
	// From is the first day that it is for, and To the first after them.
	From Day `json:"from"`
	To   Day `json:"to"`
	// Description is for people, as "Storage, above 1024 GiB-month".
	Description string `json:"description"`
	// Meter is what was measured, empty if nothing was, and Measured how much was on
	// these days by this plan, in all lines of the meter together.
	Meter    Meter  `json:"meter,omitempty"`
	Measured string `json:"measured,omitempty"`
	// TierFrom and TierTo are between which quantities of a month the tier is, in Unit.
	// TierTo is inf in the last one, and both are empty if there are no tiers.
	TierFrom string `json:"tier_from,omitempty"`
	TierTo   string `json:"tier_to,omitempty"`
	// Unit is what UnitPrice is for.
	Unit string `json:"unit"`
	// Quantity is how many units, with at most six digits behind the point. Exact is the
	// same as a fraction, or a whole number: Exact times UnitPrice, rounded once, is Amount.
	Quantity  string       `json:"quantity"`
	Exact     string       `json:"exact"`
	UnitPrice money.Amount `json:"unit_price"`
	Amount    money.Amount `json:"amount"`
}

// shown is how many digits behind the point a quantity has for people.
const shown = 6

// fill sets what follows from num/den units at a price.
func (l *Line) fill(p *Plan, num, den *big.Int, price money.Decimal) error {
	quantity, err := money.Divide(num, den, shown, money.HalfEven)
	if err != nil {
		return err
	}
	scale := price.Scale()
	cost, per := price.Scaled(scale), money.Pow10(scale)
	l.Amount, err = money.Quotient(cost.Mul(cost, num), per.Mul(per, den), p.currency, p.rounding.digits, p.rounding.mode)
	if err != nil {
		return err
	}
	l.Plan, l.Version = p.name, p.version
	l.Quantity, l.Exact = quantity.String(), new(big.Rat).SetFrac(num, den).RatString()
	l.UnitPrice = p.price(price)
	return nil
}
