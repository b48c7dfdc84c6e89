package erc20

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// ask is one asking for an invoice, as the journal keeps it for ever. What payers were told
// holds, whatever the configuration says later.
type ask struct {
	// Place is its place in the list of those of the invoice, on this chain and in this token.
	Place    uint64         `json:"place"`
	Number   string         `json:"number"`
	Rev      int            `json:"rev"`
	Total    *big.Int       `json:"total"` // as on the invoice
	Currency rails.Currency `json:"currency"`
	Due      time.Time      `json:"due"`
	Token    evm.Address    `json:"token"`
	Decimals int            `json:"decimals"`
	To       evm.Address    `json:"to"`
	Asked    *big.Int       `json:"asked"` // in units of the token
	// Tail is what tells Asked apart, of so many digits.
	Tail       uint64 `json:"tail"`
	TailDigits int    `json:"tail_digits"`
}

// holder names an ask where its tail is kept.
func (a ask) holder() string { return fmt.Sprintf("%d/%s", a.Place, a.Number) }

// coin is a token on a chain, and what is remembered of it.
type coin struct {
	chain   string
	token   Token
	journal rails.Journal
}

func (c coin) key(what string, n uint64, rest string) string {
	return fmt.Sprintf("%s/%s/%s/%d/%s", what, c.chain, c.token.Name, n, rest)
}

// asked returns an ask of an invoice, nil if there is none at that place.
func (c coin) asked(ctx context.Context, place uint64, number string) (*ask, error) {
	text, err := c.journal.Recall(ctx, Name, c.key("ask", place, number))
	if err != nil || text == "" {
		return nil, err
	}
	return readAsk(text)
}

func readAsk(text string) (*ask, error) {
	var a ask
	if err := json.Unmarshal([]byte(text), &a); err != nil || a.Asked == nil || a.Total == nil {
		return nil, fmt.Errorf("what was asked cannot be read: %w", err)
	}
	return &a, nil
}

// keepAsk returns the ask that is kept at a place: this one, or that of who was first.
func (c coin) keepAsk(ctx context.Context, a ask) (*ask, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	kept, err := c.journal.Remember(ctx, Name, c.key("ask", a.Place, a.Number), string(text))
	if err != nil {
		return nil, err
	}
	return readAsk(kept)
}

// end is how an ask ended: it was paid, or it was cancelled.
type end struct {
	// Paid is the id of the transfer, "" if it was cancelled.
	Paid string    `json:"paid,omitempty"`
	At   time.Time `json:"at"`
}

// ended returns how an ask ended, nil if it has not.
func (c coin) ended(ctx context.Context, a ask) (*end, error) {
	return c.readEnd(c.journal.Recall(ctx, Name, c.key("end", a.Place, a.Number)))
}

// finish ends an ask, and returns how it ended: the first end is true.
func (c coin) finish(ctx context.Context, a ask, e end) (*end, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return c.readEnd(c.journal.Remember(ctx, Name, c.key("end", a.Place, a.Number), string(text)))
}

func (c coin) readEnd(text string, err error) (*end, error) {
	if err != nil || text == "" {
		return nil, err
	}
	var e end
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return nil, fmt.Errorf("how the asking ended cannot be read: %w", err)
	}
	return &e, nil
}
