package erc20

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Collector asks for payments in one token on one chain. It implements rails.Collector.
type Collector struct {
	chain *chain
	coin  coin
}

var _ rails.Collector = (*Collector)(nil)

// Collector returns that of a token, as "USDC", on a chain, as "base".
func (r *Rail) Collector(chainName, token string) (*Collector, error) {
	for _, c := range r.chains {
		if c.config.Name != chainName {
			continue
		}
		if coin, ok := c.coin(func(t Token) bool { return t.Name == token }); ok {
			return &Collector{c, coin}, nil
		}
	}
	return nil, fmt.Errorf("no token %.40q on a chain %.40q is in the configuration", token, chainName)
}

// Name returns "erc20/base/USDC". The payments are those of the rail Name.
func (c *Collector) Name() string { return Name + "/" + c.coin.chain + "/" + c.coin.token.Name }

// Collect implements rails.Collector: it asks for an amount of the token that no other open
// invoice has. The invoice is paid when a transfer of just that amount is final.
func (c *Collector) Collect(ctx context.Context, invoice rails.Invoice) (rails.Request, error) {
	if err := invoice.Check(); err != nil {
		return rails.Request{}, rails.Refuse("%v", err)
	}
	if err := c.chain.check(ctx); err != nil {
		return rails.Request{}, err
	}
	for place := uint64(0); ; place++ {
		a, err := c.coin.asked(ctx, place, invoice.Number)
		if err == nil && a == nil {
			a, err = c.ask(ctx, place, invoice)
		}
		switch {
		case err != nil:
			return rails.Request{}, err
		case a.Rev > invoice.Rev:
			return rails.Request{}, rails.Refuse("invoice %s was asked for with the revision %d after %d", invoice.Number, a.Rev, invoice.Rev)
		case a.Rev == invoice.Rev:
			return c.answer(ctx, *a, invoice)
		}
		end, err := c.coin.ended(ctx, *a)
		if err != nil {
			return rails.Request{}, err
		}
		if end == nil || end.Paid != "" {
			return rails.Request{}, rails.Refuse("invoice %s is open or paid under the revision %d: cancel that first", invoice.Number, a.Rev)
		}
	}
}

// ask asks for an invoice.
func (c *Collector) ask(ctx context.Context, place uint64, invoice rails.Invoice) (*ask, error) {
	token := c.coin.token
	switch {
	case invoice.Currency.Code != token.Currency:
		return nil, rails.Refuse("invoice %s is in %s, and %s pays those in %s", invoice.Number, invoice.Currency.Code, c.Name(), token.Currency)
	case invoice.Currency.Digits > token.Decimals:
		return nil, rails.Refuse("invoice %s is in units smaller than those of %s", invoice.Number, token.Name)
	}
	base := new(big.Int).Mul(invoice.Total, evm.Pow10(token.Decimals-invoice.Currency.Digits))
	a := ask{
		Place: place, Number: invoice.Number, Rev: invoice.Rev, Total: invoice.Total, Currency: invoice.Currency, Due: invoice.Due,
		Token: token.Address, Decimals: token.Decimals, To: c.chain.config.Address, TailDigits: token.tailDigits(),
	}
	var err error
	if a.Tail, err = c.coin.takeTail(ctx, a, time.Now()); err != nil {
		return nil, err
	}
	if a.Asked = token.withTail(base, a.Tail); a.Asked.BitLen() > 256 {
		return nil, rails.Refuse("invoice %s is of more than a token can have", invoice.Number)
	}
	return c.coin.keepAsk(ctx, a)
}

// answer returns what was asked.
func (c *Collector) answer(ctx context.Context, a ask, invoice rails.Invoice) (rails.Request, error) {
	if a.Total.Cmp(invoice.Total) != 0 || a.Currency != invoice.Currency {
		return rails.Request{}, rails.Refuse("invoice %s was asked for with another total", invoice.Number)
	}
	end, err := c.coin.ended(ctx, a)
	if err != nil {
		return rails.Request{}, err
	}
	if end != nil && end.Paid == "" {
		return rails.Request{}, rails.Refuse("the asking for invoice %s was cancelled: ask with a greater revision", invoice.Number)
	}
	to := link(a.Token, c.chain.config.ChainID, a.To, a.Asked)
	qr, err := picture(to)
	if err != nil {
		return rails.Request{}, err
	}
	return rails.Request{
		Reference: fmt.Sprintf("%s/%s", c.Name(), a.Asked),
		Link:      to, QR: qr, Asked: a.Asked,
		Currency: rails.Currency{Code: c.coin.token.Name, Digits: a.Decimals},
	}, nil
}

// Cancel implements rails.Collector. A transfer that comes later pays nothing by itself: it
// is told without an invoice.
func (c *Collector) Cancel(ctx context.Context, number string) error {
	for place := uint64(0); ; place++ {
		a, err := c.coin.asked(ctx, place, number)
		if err != nil || a == nil {
			return err
		}
		end, err := c.coin.finish(ctx, *a, end{At: time.Now().UTC()})
		if err != nil {
			return err
		}
		if end.Paid != "" {
			return rails.Refuse("invoice %s was paid by %s", number, end.Paid)
		}
	}
}
