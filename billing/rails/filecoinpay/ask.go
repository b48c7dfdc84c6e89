package filecoinpay

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// ask is one asking for an invoice, as the journal keeps it for ever.
type ask struct {
	// Place is its place in the list of those of the invoice.
	Place    uint64         `json:"place"`
	Number   string         `json:"number"`
	Rev      int            `json:"rev"`
	Rail     *big.Int       `json:"rail"`
	Total    *big.Int       `json:"total"` // as on the invoice
	Currency rails.Currency `json:"currency"`
	Gross    *big.Int       `json:"gross"` // in units of the token
}

// name names it in keys and jobs.
func (a ask) name() string { return fmt.Sprintf("%d/%s", a.Place, a.Number) }

// The jobs of an ask: to lock up what is charged, and to charge it.
func (a ask) lockupJob() string { return "lockup/" + a.name() }
func (a ask) chargeJob() string { return "charge/" + a.name() }

func (r *Rail) chainKey(what, rest string) string {
	return fmt.Sprintf("%s/%d/%s", what, r.config.ChainID, rest)
}

// asked returns an ask of an invoice, nil if there is none at that place.
func (r *Rail) asked(ctx context.Context, name string) (*ask, error) {
	return readAsk(r.journal.Recall(ctx, Name, r.chainKey("ask", name)))
}

func readAsk(text string, err error) (*ask, error) {
	if err != nil || text == "" {
		return nil, err
	}
	var a ask
	if err := json.Unmarshal([]byte(text), &a); err != nil || a.Rail == nil || a.Gross == nil || a.Total == nil {
		return nil, fmt.Errorf("what was asked cannot be read: %w", err)
	}
	return &a, nil
}

// keepAsk returns the ask that is kept at a place: this one, or that of who was first.
func (r *Rail) keepAsk(ctx context.Context, a ask) (*ask, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return readAsk(r.journal.Remember(ctx, Name, r.chainKey("ask", a.name()), string(text)))
}

// over tells whether an ask needs its rail no more: it was cancelled, or its charge is in
// the chain or cannot come into it.
func (r *Rail) over(ctx context.Context, a ask) (bool, error) {
	s, cancelled, err := r.doing(ctx, a.chargeJob())
	if err != nil || s == nil {
		return cancelled, err
	}
	came, _, err := r.outcome(ctx, s)
	return came != waiting, err
}

// turn returns nil when an ask may use its rail: one after the other, as each locks up
// what it charges.
func (r *Rail) turn(ctx context.Context, a ask) error {
	var before *ask
	for n := 0; ; n++ {
		key := r.chainKey("turn", fmt.Sprintf("%s/%d", a.Rail, n))
		name, err := r.journal.Recall(ctx, Name, key)
		if err == nil && name == "" {
			name, err = r.journal.Remember(ctx, Name, key, a.name())
		}
		if err != nil {
			return err
		}
		if name == a.name() {
			break
		}
		if before, err = r.asked(ctx, name); err != nil {
			return err
		}
	}
	if before == nil {
		return nil
	}
	over, err := r.over(ctx, *before)
	if err == nil && !over {
		err = fmt.Errorf("rail %s is used for invoice %s: call again later", a.Rail, before.Number)
	}
	return err
}
