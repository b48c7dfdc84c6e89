package rails

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Kind is what a payment is.
type Kind string

const (
	// Paid means that money came in.
	Paid Kind = "paid"
	// Refunded means that we gave money back.
	Refunded Kind = "refunded"
	// Disputed means that the payer's bank has taken money back.
	Disputed Kind = "disputed"
	// Reversed means that what was said under this id counts no more: a transfer that is
	// no longer in the chain, a refund that came back, a dispute that was won.
	Reversed Kind = "reversed"
)

// Payment is a state of a movement of money.
type Payment struct {
	// Rail and ID name the movement: ID is an id of Stripe's, or chain:transaction:log.
	Rail, ID string
	// Version orders the states of one movement: the greatest one is true, whenever it is
	// recorded. Two states of one version are the same.
	Version uint64
	Kind    Kind
	// Invoice is the number of the invoice. Empty means that nobody knows yet what was
	// paid.
	Invoice string
	// Credit is the number of the credit note that a refund belongs to. Empty means that
	// none was written before.
	Credit string
	// Amount is never negative, and of the whole movement, not what was added to the
	// state before.
	Amount   *big.Int
	Currency Currency
	At       time.Time
	// Final means that no other state is expected.
	Final bool
	// Detail says more, for people.
	Detail string
	// BlockHash and Block are where a chain has it.
	BlockHash string
	Block     uint64
}

// Check returns an error if the payment cannot be recorded.
func (p Payment) Check() error {
	name := fmt.Sprintf("payment %s of %s", p.ID, p.Rail)
	switch {
	case p.Rail == "" || p.ID == "":
		return errors.New("a payment has no rail or no id")
	case p.Kind != Paid && p.Kind != Refunded && p.Kind != Disputed && p.Kind != Reversed:
		return fmt.Errorf("%s is of the kind %q", name, p.Kind)
	case p.Amount == nil || p.Amount.Sign() < 0:
		return fmt.Errorf("%s has the amount %v", name, p.Amount)
	case p.Currency.Code == "" || p.Currency.Digits < 0:
		return fmt.Errorf("%s has no currency", name)
	case p.At.IsZero():
		return fmt.Errorf("%s has no time", name)
	}
	return nil
}

// Replaces tells whether p is a later state than one that is recorded for the same id.
func (p Payment) Replaces(recorded Payment) bool { return p.Version > recorded.Version }

// Journal is what rails must not forget. All processes share it. Safe for concurrent use.
//
// What it says is never older than what was written when it was asked.
type Journal interface {
	// Recall returns what Remember has kept, "" if there is nothing.
	Recall(ctx context.Context, rail, key string) (string, error)
	// Remember keeps a value that is not empty, unless there is one already, for ever. It
	// returns the one that is kept, which then everybody goes by. After an error it may
	// have been kept or not.
	Remember(ctx context.Context, rail, key, value string) (kept string, err error)
	// Record keeps a payment, unless it has a state of the same rail and id that p does
	// not replace, and returns when it is durable.
	Record(ctx context.Context, p Payment) error
}
