package erc20

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

const (
	// tailRest is how long a tail is kept back after its invoice was paid or cancelled, so
	// that what comes late is nobody else's.
	tailRest = 90 * 24 * time.Hour
	// tries is how many tails are looked at for one that is free.
	tries = 64
)

// unit is how many units of the token one of its tail is, and cent how many a hundredth of
// a token is: the tail stands between them.
func (t Token) unit() *big.Int { return evm.Pow10(t.Decimals - 2 - t.tailDigits()) }
func (t Token) cent() *big.Int { return evm.Pow10(t.Decimals - 2) }

// tails is how many there are: all numbers of so many digits that do not end in zero.
func (t Token) tails() uint64 { return 9 * evm.Pow10(t.tailDigits()-1).Uint64() }

// tail returns the n-th one.
func (t Token) tail(n uint64) uint64 { return n/9*10 + n%9 + 1 }

// tailOf returns the tail of an amount.
func (t Token) tailOf(units *big.Int) uint64 {
	rest := new(big.Int).Mod(units, t.cent())
	return rest.Div(rest, t.unit()).Uint64()
}

// withTail returns the least amount from base on that ends in a tail and zeros.
func (t Token) withTail(base *big.Int, tail uint64) *big.Int {
	extra := new(big.Int).Mul(new(big.Int).SetUint64(tail), t.unit())
	extra.Sub(extra, base).Mod(extra, t.cent())
	return extra.Add(extra, base)
}

// takeTail finds a tail that no open ask of the token has, and keeps it for one. It gives
// the same one again after a stop.
func (c coin) takeTail(ctx context.Context, a ask, now time.Time) (uint64, error) {
	sum := sha256.Sum256([]byte(a.holder()))
	first := binary.BigEndian.Uint64(sum[:])
	for i := range uint64(tries) {
		tail := c.token.tail((first%c.token.tails() + i) % c.token.tails())
		mine, err := c.take(ctx, a, tail, now)
		if err != nil || mine {
			return tail, err
		}
	}
	return 0, fmt.Errorf("%d tails in a row are taken by open invoices in %s on %s: raise its tail_digits", tries, c.token.Name, c.chain)
}

// take takes a tail if it is free. Its holders are a list, of which the last one has it.
func (c coin) take(ctx context.Context, a ask, tail uint64, now time.Time) (bool, error) {
	for generation := uint64(0); ; generation++ {
		key := c.tailKey(tail, generation)
		holder, err := c.journal.Recall(ctx, Name, key)
		if err == nil && holder == "" {
			holder, err = c.journal.Remember(ctx, Name, key, a.holder())
		}
		switch {
		case err != nil:
			return false, err
		case holder == a.holder():
			return true, nil
		}
		free, err := c.isFree(ctx, holder, tail, now)
		if err != nil || !free {
			return false, err
		}
	}
}

func (c coin) tailKey(tail, generation uint64) string {
	return c.key("tail", tail, fmt.Sprintf("%d/%d", c.token.tailDigits(), generation))
}

// isFree tells whether a holder needs its tail no more.
func (c coin) isFree(ctx context.Context, holder string, tail uint64, now time.Time) (bool, error) {
	a, err := c.holding(ctx, holder)
	switch {
	case err != nil || a == nil: // somebody is about to ask
		return false, err
	case !c.has(*a, tail): // two processes asked at once, and this one was second
		return true, nil
	}
	end, err := c.ended(ctx, *a)
	return end != nil && now.Sub(end.At) > tailRest, err
}

// has tells whether an ask has a tail of as many digits as those of the token.
func (c coin) has(a ask, tail uint64) bool {
	return a.Tail == tail && a.TailDigits == c.token.tailDigits()
}

// holding returns the ask of a holder, nil if it was not kept.
func (c coin) holding(ctx context.Context, holder string) (*ask, error) {
	place, number, _ := strings.Cut(holder, "/")
	n, err := strconv.ParseUint(place, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the holder of a tail cannot be read: %q", holder)
	}
	return c.asked(ctx, n, number)
}

// withTailOf returns the asks that have the tail of an amount, or had it: the last one first.
// Those from a time when the configuration had other tail_digits are among them.
func (c coin) withTailOf(ctx context.Context, units *big.Int) ([]ask, error) {
	var found []ask
	for digits := minTail; digits <= min(maxTail, c.token.Decimals-2); digits++ {
		c.token.TailDigits = digits
		tail := c.token.tailOf(units)
		for generation := uint64(0); ; generation++ {
			holder, err := c.journal.Recall(ctx, Name, c.tailKey(tail, generation))
			if err != nil {
				return nil, err
			}
			if holder == "" {
				break
			}
			a, err := c.holding(ctx, holder)
			if err != nil {
				return nil, err
			}
			if a != nil && c.has(*a, tail) {
				found = append([]ask{*a}, found...)
			}
		}
	}
	return found, nil
}
