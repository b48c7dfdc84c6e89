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

// The jobs of an ask: to lock up what is charged, to charge it, and to undo the first one
// where the second one was cancelled.
func (a ask) lockupJob() string { return "lockup/" + a.name() }
func (a ask) chargeJob() string { return "charge/" + a.name() }
func (a ask) unlockJob() string { return "unlock/" + a.name() }

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
