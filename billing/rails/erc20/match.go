package erc20

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// addresses are all that we receive at.
func (c Chain) addresses() []evm.Address { return append([]evm.Address{c.Address}, c.AlsoWatch...) }

// query asks for all transfers of the tokens of a configuration to our addresses.
func (c Chain) query() evm.Query {
	q := evm.Query{Topics: [][]evm.Hash{{evm.Keccak([]byte("Transfer(address,address,uint256)"))}, nil, nil}}
	for _, t := range c.Tokens {
		q.Addresses = append(q.Addresses, t.Address)
	}
	for _, t := range c.RefusedTokens {
		q.Addresses = append(q.Addresses, t.Address)
	}
	for _, a := range c.addresses() {
		q.Topics[2] = append(q.Topics[2], a.Topic())
	}
	return q
}

// Wants implements evm.Handler.
func (c *chain) Wants(_ context.Context, log evm.Log) (bool, error) {
	if len(log.Topics) != 3 || len(log.Data) != 32 { // as of other kinds of tokens
		return false, nil
	}
	from, ok := log.Topics[1].Address()
	return ok && log.Data.Word(0).Sign() > 0 && !slices.Contains(c.config.addresses(), from), nil
}

// Seen implements evm.Handler.
func (c *chain) Seen(ctx context.Context, event evm.Event) error {
	how := look
	if event.Final {
		how = claim
	}
	p, err := c.payment(ctx, event, how)
	if err != nil {
		return err
	}
	if !event.Final {
		p.Detail += "; not final yet"
	}
	return c.rail.journal.Record(ctx, p)
}

// Dropped implements evm.Handler.
func (c *chain) Dropped(ctx context.Context, event evm.Event) error {
	p, err := c.payment(ctx, event, ignore)
	if err != nil {
		return err
	}
	p.Kind, p.Final = rails.Reversed, true
	p.Detail += "; the chain has this transfer no more"
	return c.rail.journal.Record(ctx, p)
}

// settling is what is done about the invoice of a transfer.
type settling int

const (
	// look looks whether the transfer would pay the invoice.
	look settling = iota
	// claim has it pay the invoice, if no other one has.
	claim
	// ignore does not ask what else became of the invoice.
	ignore
)

// payment says what a transfer is.
func (c *chain) payment(ctx context.Context, event evm.Event, how settling) (rails.Payment, error) {
	from, _ := event.Topics[1].Address()
	p := rails.Payment{
		Rail: Name, ID: fmt.Sprintf("%d:%s", c.config.ChainID, event.ID()), Version: event.Version(), Kind: rails.Paid,
		Amount: event.Data.Word(0), At: event.Time, Final: event.Final, BlockHash: event.BlockHash.String(), Block: uint64(event.Block),
	}
	coin, ok := c.coin(func(t Token) bool { return t.Address == event.Address })
	if !ok {
		i := slices.IndexFunc(c.config.RefusedTokens, func(t RefusedToken) bool { return t.Address == event.Address })
		if i < 0 {
			return rails.Payment{}, fmt.Errorf("%s: the log %s is of %s, which is no token of the configuration", c.config.Name, event.ID(), event.Address)
		}
		t := c.config.RefusedTokens[i]
		p.Currency = rails.Currency{Code: t.Name, Digits: t.Decimals}
		p.Detail = fmt.Sprintf("%s %s from %s on %s: wrong token, this one is not taken", evm.Amount(p.Amount, t.Decimals), t.Name, from, c.config.Name)
		return p, nil
	}
	p.Currency = rails.Currency{Code: coin.token.Name, Digits: coin.token.Decimals}
	paid := fmt.Sprintf("%s %s from %s on %s", evm.Amount(p.Amount, coin.token.Decimals), coin.token.Name, from, c.config.Name)
	asks, err := coin.withTailOf(ctx, p.Amount)
	if err != nil {
		return rails.Payment{}, err
	}
	i := slices.IndexFunc(asks, func(a ask) bool { return a.Asked.Cmp(p.Amount) == 0 && a.Token == event.Address })
	if i < 0 {
		hint, err := c.hint(ctx, coin, p.Amount, asks)
		p.Detail = paid + ": " + hint
		return p, err
	}
	against, err := coin.settle(ctx, asks[i], p.ID, event.Time, how)
	if err != nil {
		return rails.Payment{}, err
	}
	if against != "" {
		p.Detail = paid + ": " + against
		return p, nil
	}
	a := asks[i]
	p.Invoice, p.Amount, p.Currency, p.Detail = a.Number, a.Total, a.Currency, paid
	if !a.Due.IsZero() && event.Time.After(a.Due) {
		p.Detail += ", late: it was due " + a.Due.UTC().Format(time.DateOnly)
	}
	return p, nil
}

// settle says why a transfer of the right amount does not pay its invoice, "" if it does.
// After claim it is paid by this transfer and by no other one.
func (c coin) settle(ctx context.Context, a ask, id string, at time.Time, how settling) (string, error) {
	if how == ignore {
		return "", nil
	}
	done, err := c.ended(ctx, a)
	if err == nil && done == nil && how == claim {
		done, err = c.finish(ctx, a, end{Paid: id, At: at})
	}
	switch {
	case err != nil:
		return "", err
	case done != nil && done.Paid == "":
		return fmt.Sprintf("for invoice %s, whose asking was cancelled", a.Number), nil
	case done != nil && done.Paid != id:
		return fmt.Sprintf("invoice %s a second time: it was paid by %s", a.Number, done.Paid), nil
	}
	// The invoice may have been asked for in another token, too.
	key := "paid/" + a.Number
	first, err := c.journal.Recall(ctx, Name, key)
	if err == nil && first == "" && how == claim {
		first, err = c.journal.Remember(ctx, Name, key, id)
	}
	switch {
	case err != nil:
		return "", err
	case first != "" && first != id:
		return fmt.Sprintf("invoice %s a second time: it was paid by %s", a.Number, first), nil
	}
	return "", nil
}

// hint says which invoice an amount may be for that none was asked for in.
func (c *chain) hint(ctx context.Context, own coin, units *big.Int, asks []ask) (string, error) {
	for _, other := range c.rail.chains {
		for _, token := range other.config.Tokens {
			coin := coin{other.config.Name, token, c.rail.journal}
			if token.Decimals != own.token.Decimals || coin.chain == own.chain && token.Name == own.token.Name {
				continue
			}
			found, err := coin.withTailOf(ctx, units)
			if err != nil {
				return "", err
			}
			for _, a := range found {
				if a.Asked.Cmp(units) == 0 {
					return fmt.Sprintf("wrong chain or token: invoice %s asked for this amount of %s on %s", a.Number, token.Name, coin.chain), nil
				}
			}
		}
	}
	var hints []string
	for _, a := range asks {
		word := "more"
		if units.Cmp(a.Asked) < 0 {
			word = "less"
		}
		hints = append(hints, fmt.Sprintf("%s than the %s of invoice %s, which has the same last digits", word, evm.Amount(a.Asked, a.Decimals), a.Number))
	}
	if len(hints) == 0 {
		return "no invoice asked for this amount", nil
	}
	return strings.Join(hints, "; "), nil
}
