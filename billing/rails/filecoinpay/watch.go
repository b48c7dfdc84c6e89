package filecoinpay

import (
	"context"
	"fmt"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Wants implements evm.Handler: payments that our key has made. The events of all rails
// there are come by; the operator of a rail never changes, so each is looked at once.
func (r *Rail) Wants(ctx context.Context, log evm.Log) (bool, error) {
	c, ok := readCharged(log)
	if !ok {
		return false, nil
	}
	id := c.rail.String()
	r.mu.Lock()
	foreign := r.foreign[id]
	r.mu.Unlock()
	if foreign {
		return false, nil
	}
	tx, err := r.nodes[0].Tx(ctx, log.TxHash)
	switch {
	case err != nil:
		return false, err
	case tx == nil:
		return false, fmt.Errorf("%s: %w: there is a log of %s, and no such transaction", r.config.Name, evm.ErrNodes, log.TxHash)
	case tx.From == r.operator:
		return true, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.foreign[id] = true
	return false, nil
}

// Seen implements evm.Handler.
func (r *Rail) Seen(ctx context.Context, event evm.Event) error {
	p, err := r.payment(ctx, event, event.Final)
	if err != nil {
		return err
	}
	if !event.Final {
		p.Detail += "; not final yet"
	}
	return r.journal.Record(ctx, p)
}

// Dropped implements evm.Handler.
func (r *Rail) Dropped(ctx context.Context, event evm.Event) error {
	p, err := r.payment(ctx, event, false)
	if err != nil {
		return err
	}
	p.Kind, p.Final = rails.Reversed, true
	p.Detail += "; the chain has this payment no more"
	return r.journal.Record(ctx, p)
}

// payment says what a one-time payment is for.
func (r *Rail) payment(ctx context.Context, event evm.Event, claim bool) (rails.Payment, error) {
	c, ok := readCharged(event.Log)
	if !ok {
		return rails.Payment{}, fmt.Errorf("%s: the log %s is no payment", r.config.Name, event.ID())
	}
	token := r.config.Token
	p := rails.Payment{
		Rail: Name, ID: fmt.Sprintf("%d:%s", r.config.ChainID, event.ID()), Version: event.Version(), Kind: rails.Paid,
		Amount: c.gross(), Currency: rails.Currency{Code: token.Name, Digits: token.Decimals},
		At: event.Time, Final: event.Final, BlockHash: event.BlockHash.String(), Block: uint64(event.Block),
	}
	p.Detail = fmt.Sprintf("%s %s by rail %s: %s after the network fee of %s", evm.Amount(p.Amount, token.Decimals), token.Name, c.rail,
		evm.Amount(c.net, token.Decimals), evm.Amount(c.fee, token.Decimals))
	if c.commission.Sign() > 0 {
		p.Detail += " and a commission of " + evm.Amount(c.commission, token.Decimals)
	}
	a, err := r.chargedBy(ctx, event.TxHash)
	if err != nil {
		return rails.Payment{}, err
	}
	against := ""
	switch {
	case a == nil:
		against = "the operator's key made it, and no invoice here was charged with it"
	case a.Gross.Cmp(p.Amount) != 0 || a.Rail.Cmp(c.rail) != 0:
		against = fmt.Sprintf("it was sent for %s of invoice %s by rail %s", evm.Amount(a.Gross, token.Decimals), a.Number, a.Rail)
	default:
		if against, err = r.settle(ctx, *a, p.ID, claim); err != nil {
			return rails.Payment{}, err
		}
	}
	if against != "" {
		p.Detail += "; " + against
		return p, nil
	}
	p.Invoice, p.Amount, p.Currency = a.Number, a.Total, a.Currency
	return p, nil
}

// chargedBy returns the ask that a transaction charges, nil if there is none.
func (r *Rail) chargedBy(ctx context.Context, tx evm.Hash) (*ask, error) {
	job, err := r.journal.Recall(ctx, Name, r.txKey(tx))
	if err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(job, "charge/")
	if !ok {
		return nil, nil
	}
	return r.asked(ctx, name)
}

// settle says why a payment does not pay its invoice, "" if it does. If claim is true, the
// invoice is then paid by this one and by no other one.
func (r *Rail) settle(ctx context.Context, a ask, id string, claim bool) (string, error) {
	key := r.chainKey("paid", a.Number)
	first, err := r.journal.Recall(ctx, Name, key)
	if err == nil && first == "" && claim {
		first, err = r.journal.Remember(ctx, Name, key, id)
	}
	if err == nil && first != "" && first != id {
		return fmt.Sprintf("invoice %s a second time: it was paid by %s", a.Number, first), nil
	}
	return "", err
}
