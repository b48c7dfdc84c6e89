package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// The canonical form of a plan: every setting, also those that were left to their
// defaults, in this order. It is never changed, as digests of plans are in invoices.
type (
	canonicalPlan struct {
		Plan       string            `json:"plan"`
		Version    int               `json:"version"`
		Currency   string            `json:"currency"`
		Effective  string            `json:"effective"`
		MonthBasis string            `json:"month_basis"`
		Rounding   canonicalRounding `json:"rounding"`
		Tiers      string            `json:"tiers"`
		Charges    []canonicalCharge `json:"charges"`
		Minimum    *canonicalMinimum `json:"minimum,omitempty"`
	}
	canonicalRounding struct {
		Line   string `json:"line"`
		Digits int    `json:"digits"`
	}
	canonicalCharge struct {
		Name        string          `json:"name"`
		Meter       string          `json:"meter,omitempty"`
		Unit        string          `json:"unit,omitempty"`
		Model       string          `json:"model"`
		Included    string          `json:"included,omitempty"`
		Tiers       []canonicalTier `json:"tiers,omitempty"`
		PackageSize string          `json:"package_size,omitempty"`
		Price       string          `json:"price,omitempty"`
		Prorate     *bool           `json:"prorate,omitempty"`
	}
	canonicalTier struct {
		UpTo      string `json:"up_to"`
		UnitPrice string `json:"unit_price"`
		Flat      string `json:"flat"`
	}
	canonicalMinimum struct {
		Amount  string `json:"amount"`
		Prorate bool   `json:"prorate"`
	}
)

// seal writes the canonical form of a plan, and its digest.
func (p *Plan) seal() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p.form()); err != nil {
		return fmt.Errorf("writing the canonical form: %w", err)
	}
	p.canonical = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	sum := sha256.Sum256(p.canonical)
	p.digest = hex.EncodeToString(sum[:])
	return nil
}

func (p *Plan) form() canonicalPlan {
	out := canonicalPlan{
		Plan: p.name, Version: p.version, Currency: p.currency.Code(), Effective: p.effective.String(), MonthBasis: p.basis,
		Rounding: canonicalRounding{string(p.rounding.mode), p.rounding.digits}, Tiers: "reset",
	}
	if p.carry {
		out.Tiers = "carry"
	}
	for _, c := range p.charges {
		out.Charges = append(out.Charges, c.form())
	}
	if p.minimum != nil {
		out.Minimum = &canonicalMinimum{p.minimum.amount.String(), p.minimum.prorate}
	}
	return out
}

func (c charge) form() canonicalCharge {
	out := canonicalCharge{Name: c.name, Model: c.model}
	if c.model == flat {
		out.Price, out.Prorate = c.price.String(), &c.prorate
		return out
	}
	out.Meter, out.Unit, out.Included = string(c.unit.meter), c.unit.name, c.included.String()
	if c.model == packaged {
		out.PackageSize, out.Price = c.size.String(), c.price.String()
	}
	for _, t := range c.tiers {
		out.Tiers = append(out.Tiers, canonicalTier{t.end(), t.price.String(), t.flat.String()})
	}
	return out
}

// end is where it ends, as it is written.
func (t tier) end() string {
	if t.last {
		return "inf"
	}
	return t.upTo.String()
}
