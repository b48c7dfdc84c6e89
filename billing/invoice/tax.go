package invoice

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Treatment is how a tax region is treated.
type Treatment string

// The treatments. With a reverse charge the buyer owes the tax.
const (
	Standard      Treatment = "standard"
	ReverseCharge Treatment = "reverse_charge"
	Exempt        Treatment = "exempt"
)

// Region is what configuration says of the taxes of one region. Buyers name theirs.
type Region struct {
	// Name is any name: "DE", "FR with a VAT id", "US-CA".
	Name string `json:"region"`
	// Treatment is Standard if empty.
	Treatment Treatment `json:"treatment,omitzero"`
	// Rates are the taxes of the standard treatment. None is a region that nothing is said of
	// on the invoice.
	Rates []Rate `json:"rates,omitzero"`
	// Note is shown beside. Needed, but with the standard treatment.
	Note string `json:"note,omitzero"`
	// Rounding is half_up if empty.
	Rounding money.Mode `json:"rounding,omitzero"`
}

// Rate is one tax. Each of several is on the sum of the lines, and none on another tax.
type Rate struct {
	Name    string  `json:"name"`
	Percent Decimal `json:"percent"`
}

// Regions are all that are configured.
type Regions []Region

// Check returns what is wrong with the regions.
func (all Regions) Check() error {
	var problems []error
	for i, r := range all {
		if slices.ContainsFunc(all[:i], func(other Region) bool { return other.Name == r.Name }) {
			problems = append(problems, fmt.Errorf("tax region %q is there twice", r.Name))
		}
		if err := r.check(); err != nil {
			problems = append(problems, fmt.Errorf("tax region %q: %w", r.Name, err))
		}
	}
	return errors.Join(problems...)
}

// Of returns the region with a name.
func (all Regions) Of(name string) (Region, error) {
	i := slices.IndexFunc(all, func(r Region) bool { return r.Name == name })
	if i < 0 {
		return Region{}, fmt.Errorf("there is no tax region %q", name)
	}
	return all[i], nil
}

func (r Region) check() error {
	problems := []error{
		text("the name", r.Name, needed), text("the note", r.Note, 0), limit("rates", len(r.Rates), maxTaxes),
		mode(r.rounding()), r.treatment().check(),
	}
	if r.treatment() != Standard {
		if r.Note == "" {
			problems = append(problems, errors.New("a region without the standard treatment has a note that says so"))
		}
		if len(r.Rates) > 0 {
			problems = append(problems, errors.New("a region without the standard treatment has no rates"))
		}
	}
	for i, rate := range r.Rates {
		problems = append(problems, text("the name of a rate", rate.Name, needed), percent(rate.Percent))
		if slices.ContainsFunc(r.Rates[:i], func(other Rate) bool { return other.Name == rate.Name }) {
			problems = append(problems, fmt.Errorf("the rate %q is there twice", rate.Name))
		}
	}
	return errors.Join(problems...)
}

func (r Region) treatment() Treatment {
	if r.Treatment == "" {
		return Standard
	}
	return r.Treatment
}

func (r Region) rounding() money.Mode {
	if r.Rounding == "" {
		return money.HalfUp
	}
	return r.Rounding
}

func (t Treatment) check() error {
	switch t {
	case Standard, ReverseCharge, Exempt:
		return nil
	}
	return fmt.Errorf("%q: a treatment is standard, reverse_charge or exempt", t)
}

// name is that of the tax that stands for a treatment without rates.
func (t Treatment) name() string {
	if t == ReverseCharge {
		return "Reverse charge"
	}
	return "Exempt"
}

func percent(p Decimal) error {
	if p.Sign() < 0 || p.Cmp(money.NewDecimal(big.NewInt(100), 0)) > 0 {
		return fmt.Errorf("a rate of %s%% is not one of 0 to 100", p)
	}
	return nil
}

func mode(m money.Mode) error {
	if !slices.Contains(money.Modes(), m) {
		return fmt.Errorf("%q: a rounding is one of %q", m, money.Modes())
	}
	return nil
}

// taxes returns the taxes on a sum of a currency's smallest units. A treatment without a tax
// is there with the amount zero.
func (r Region) taxes(base *big.Int, c money.Currency) ([]Tax, error) {
	if r.treatment() != Standard {
		return []Tax{{r.treatment(), r.treatment().name(), Decimal{}, money.FromMinor(base, c), money.Zero(c), r.rounding(), r.Note}}, nil
	}
	taxes := make([]Tax, 0, len(r.Rates))
	for _, rate := range r.Rates {
		t := Tax{Treatment: Standard, Name: rate.Name, Percent: rate.Percent, Base: money.FromMinor(base, c), Rounding: r.rounding(), Note: r.Note}
		due, err := t.due(base)
		if err != nil {
			return nil, err
		}
		t.Amount = money.FromMinor(due, c)
		taxes = append(taxes, t)
	}
	return taxes, nil
}

// due returns what the tax on a sum is by its rate, in the unit of the sum, rounded once.
func (t Tax) due(base *big.Int) (*big.Int, error) {
	d, err := money.Divide(new(big.Int).Mul(base, t.Percent.units()), money.Pow10(t.Percent.Scale()+2), 0, t.Rounding)
	if err != nil {
		return nil, err
	}
	return d.Scaled(0), nil
}
