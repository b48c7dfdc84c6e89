package filecoinpay

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Collect implements rails.Collector: it charges the rail that is the customer of the
// invoice. It returns when the transaction is sent; before, it may have to be called again
// while another transaction waits for a block. Called later, it tells whether the
// transaction has failed.
func (r *Rail) Collect(ctx context.Context, invoice rails.Invoice) (rails.Request, error) {
	if err := invoice.Check(); err != nil {
		return rails.Request{}, rails.Refuse("%v", err)
	}
	if err := r.check(ctx); err != nil {
		return rails.Request{}, err
	}
	a, err := r.asking(ctx, invoice)
	if err != nil {
		return rails.Request{}, err
	}
	s, cancelled, err := r.doing(ctx, a.chargeJob())
	switch {
	case err != nil:
		return rails.Request{}, err
	case cancelled:
		return rails.Request{}, fmt.Errorf("charging invoice %s: %w", a.Number, errCancelled())
	case s == nil:
		if s, err = r.charge(ctx, *a); err != nil {
			return rails.Request{}, fmt.Errorf("charging invoice %s: %w", a.Number, err)
		}
	}
	came, _, err := r.outcome(ctx, s)
	switch {
	case err != nil:
		return rails.Request{}, err
	case came == failed, came == displaced:
		return rails.Request{}, rails.Refuse("invoice %s: %s", a.Number, came.tell(s))
	case came == waiting:
		if err := r.push(ctx, *s); err != nil {
			return rails.Request{}, err
		}
	}
	return rails.Request{
		Reference: s.Hash.String(), Asked: a.Gross,
		Currency: rails.Currency{Code: r.config.Token.Name, Digits: r.config.Token.Decimals},
	}, nil
}

// asking returns the ask of an invoice, and keeps it if there is none. It is a Refusal
// while another revision may be charged.
func (r *Rail) asking(ctx context.Context, invoice rails.Invoice) (*ask, error) {
	wanted, err := r.wanted(invoice)
	if err != nil {
		return nil, err
	}
	for ; ; wanted.Place++ {
		a, err := r.asked(ctx, wanted.name())
		if err == nil && a == nil {
			a, err = r.keepAsk(ctx, wanted)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case a.Rev > invoice.Rev:
			return nil, rails.Refuse("invoice %s was asked for with the revision %d after %d", invoice.Number, a.Rev, invoice.Rev)
		case a.Rev == invoice.Rev && (a.Gross.Cmp(wanted.Gross) != 0 || a.Rail.Cmp(wanted.Rail) != 0 || a.Currency != wanted.Currency):
			return nil, rails.Refuse("invoice %s was asked for with another total or customer", invoice.Number)
		case a.Rev == invoice.Rev:
			return a, nil
		}
		if err := r.mayFollow(ctx, *a); err != nil {
			return nil, err
		}
	}
}

// wanted returns what is asked for an invoice, at the first place.
func (r *Rail) wanted(invoice rails.Invoice) (ask, error) {
	token := r.config.Token
	id, ok := new(big.Int).SetString(invoice.Customer, 10)
	switch {
	case !ok || id.Sign() <= 0 || id.BitLen() > 256 || id.String() != invoice.Customer:
		return ask{}, rails.Refuse("invoice %s is for the customer %.80q, which is not the number of a rail of Filecoin Pay", invoice.Number, invoice.Customer)
	case invoice.Currency.Code != token.Currency:
		return ask{}, rails.Refuse("invoice %s is in %s, and rails of %s pay those in %s", invoice.Number, invoice.Currency.Code, token.Name, token.Currency)
	case invoice.Currency.Digits > token.Decimals:
		return ask{}, rails.Refuse("invoice %s is in units smaller than those of %s", invoice.Number, token.Name)
	}
	gross := new(big.Int).Mul(invoice.Total, evm.Pow10(token.Decimals-invoice.Currency.Digits))
	if gross.BitLen() > 256 {
		return ask{}, rails.Refuse("invoice %s is of more than a token can have", invoice.Number)
	}
	return ask{Number: invoice.Number, Rev: invoice.Rev, Rail: id, Total: invoice.Total, Currency: invoice.Currency, Gross: gross}, nil
}

// mayFollow is a Refusal if an earlier ask has charged the invoice, or still may.
func (r *Rail) mayFollow(ctx context.Context, a ask) error {
	s, cancelled, err := r.doing(ctx, a.chargeJob())
	if err != nil || cancelled {
		return err
	}
	if s == nil {
		return rails.Refuse("invoice %s is asked for with the revision %d: cancel that first", a.Number, a.Rev)
	}
	came, _, err := r.outcome(ctx, s)
	if err != nil || came == failed || came == displaced {
		return err
	}
	return rails.Refuse("invoice %s is charged, or may be, with the revision %d: %s", a.Number, a.Rev, came.tell(s))
}

// charge takes the next step to a charge that is not begun: to lock up what is charged,
// besides what is locked up for others, and then to charge it.
func (r *Rail) charge(ctx context.Context, a ask) (*slot, error) {
	nonce, err := r.free(ctx)
	if err != nil {
		return nil, err
	}
	view, err := r.rail(ctx, a.Rail)
	if err != nil {
		return nil, err
	}
	if err := r.usable(a.Rail, view); err != nil {
		return nil, err
	}
	s, _, err := r.doing(ctx, a.lockupJob())
	if err != nil {
		return nil, err
	}
	if s == nil {
		s, err = r.do(ctx, nonce, a.lockupJob(), modifyRailLockup(a.Rail, view.period, new(big.Int).Add(view.fixed, a.Gross)))
		if err == nil {
			err = fmt.Errorf("what is charged is being locked up by %s: call again later", s.Hash)
		}
		return nil, err
	}
	came, _, err := r.outcome(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case came == failed, came == displaced:
		return nil, rails.Refuse("%s, which was to lock up what is charged", came.tell(s))
	case came != took:
		return nil, fmt.Errorf("what is charged is not locked up yet by %s: call again later", s.Hash)
	}
	return r.do(ctx, nonce, a.chargeJob(), modifyRailPayment(a.Rail, view.rate, a.Gross))
}

// usable is a Refusal if a rail cannot be charged for us.
func (r *Rail) usable(id *big.Int, view railView) error {
	switch {
	case view.operator != r.operator:
		return rails.Refuse("rail %s has the operator %s, and the key is that of %s", id, view.operator, r.operator)
	case view.to != r.config.Payee:
		return rails.Refuse("rail %s pays %s, and not %s", id, view.to, r.config.Payee)
	case view.token != r.config.Token.Address:
		return rails.Refuse("rail %s pays in the token %s, and not in %s", id, view.token, r.config.Token.Name)
	case view.end.Sign() != 0:
		return rails.Refuse("rail %s was terminated", id)
	case view.commission.Sign() != 0:
		return rails.Refuse("rail %s gives somebody a commission", id)
	}
	return nil
}

// Cancel implements rails.Collector. What is being charged cannot be cancelled. What was
// locked up for it is set free, for which it may have to be called again.
func (r *Rail) Cancel(ctx context.Context, number string) error {
	for place := uint64(0); ; place++ {
		a, err := r.asked(ctx, ask{Place: place, Number: number}.name())
		if err != nil || a == nil {
			return err
		}
		s, cancelled, err := r.cancel(ctx, a.chargeJob())
		if err != nil {
			return err
		}
		if !cancelled {
			came, _, err := r.outcome(ctx, s)
			if err != nil {
				return err
			}
			if came != failed && came != displaced {
				return rails.Refuse("invoice %s is being charged, or is paid, by transaction %s", number, s.Hash)
			}
		}
		if err := r.unlock(ctx, *a); err != nil {
			return fmt.Errorf("setting free what was locked up for invoice %s: %w", number, err)
		}
	}
}

// unlock begins to set free what was locked up for an ask, once.
func (r *Rail) unlock(ctx context.Context, a ask) error {
	s, _, err := r.cancel(ctx, a.lockupJob())
	if err != nil || s == nil {
		return err // nothing was, and nothing will be
	}
	came, _, err := r.outcome(ctx, s)
	if err != nil || came == failed || came == displaced {
		return err
	}
	if s, _, err = r.doing(ctx, a.unlockJob()); err != nil || s != nil {
		return err
	}
	nonce, err := r.free(ctx)
	if err != nil {
		return err
	}
	view, err := r.rail(ctx, a.Rail)
	switch {
	case err != nil:
		return err
	case view.end.Sign() != 0 || view.fixed.Cmp(a.Gross) < 0: // its end sets all free, or somebody has
		return nil
	}
	_, err = r.do(ctx, nonce, a.unlockJob(), modifyRailLockup(a.Rail, view.period, new(big.Int).Sub(view.fixed, a.Gross)))
	return err
}
