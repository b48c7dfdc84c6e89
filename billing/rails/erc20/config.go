package erc20

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Config says where tokens are received.
type Config struct {
	Chains []Chain `json:"chains"`
}

// Chain is one on which tokens are received.
type Chain struct {
	evm.Config

	// Address is what payers send to. Whose key it is does not matter here.
	Address evm.Address `json:"address"`
	// AlsoWatch are addresses that were asked to be paid at before.
	AlsoWatch []evm.Address `json:"also_watch,omitempty"`
	Tokens    []Token       `json:"tokens"`
	// RefusedTokens are told when they come in, and pay nothing: those that payers take for
	// one of Tokens.
	RefusedTokens []RefusedToken `json:"refused_tokens,omitempty"`
}

// Token is one that invoices are paid with.
type Token struct {
	// Name is how people call it, as "USDC".
	Name    string      `json:"name"`
	Address evm.Address `json:"address"`
	// Decimals is what its contract says of that.
	Decimals int `json:"decimals"`
	// Currency is that of the invoices which it pays, one for one: "USD" takes a USDC for
	// a dollar.
	Currency string `json:"currency"`
	// TailDigits is how many digits behind the second one of an amount tell invoices
	// apart, 4 if it is 0. Each more allows ten times as many at once, of which there are
	// 9,000 with 4.
	TailDigits int `json:"tail_digits,omitempty"`
}

// RefusedToken is one that is not taken.
type RefusedToken struct {
	Name     string      `json:"name"`
	Address  evm.Address `json:"address"`
	Decimals int         `json:"decimals"`
}

const (
	defaultTail = 4
	minTail     = 3
	maxTail     = 9
	maxDecimals = 36
)

// tailDigits is TailDigits with its default.
func (t Token) tailDigits() int {
	if t.TailDigits == 0 {
		return defaultTail
	}
	return t.TailDigits
}

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9.]{1,16}$`)
	currency  = regexp.MustCompile(`^[A-Z0-9]{2,10}$`)
)

// Check returns an error if nothing can be received with this.
func (c Config) Check() error {
	var problems []error
	names, ids := make(map[string]bool), make(map[uint64]bool)
	for i, chain := range c.Chains {
		if err := chain.check(); err != nil {
			problems = append(problems, fmt.Errorf("chains[%d]: %w", i, err))
		}
		if names[chain.Name] || ids[chain.ChainID] {
			problems = append(problems, fmt.Errorf("chains[%d]: its name or its chain_id is there twice", i))
		}
		names[chain.Name], ids[chain.ChainID] = true, true
	}
	return errors.Join(problems...)
}

func (c Chain) check() error {
	problems := []error{c.Config.Check()}
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, address := range append([]evm.Address{c.Address}, c.AlsoWatch...) {
		if address == (evm.Address{}) {
			add("address, also_watch: an address is missing")
		}
	}
	if len(c.Tokens) == 0 {
		add("tokens: is empty: name what may be paid with")
	}
	names, addresses := make(map[string]bool), make(map[evm.Address]bool)
	twice := func(field, name string, address evm.Address, decimals int) {
		switch {
		case !tokenName.MatchString(name):
			add("%s.name: %.40q is not 1 to 16 letters and digits", field, name)
		case names[name] || addresses[address]:
			add("%s: its name or its address is there twice", field)
		case address == (evm.Address{}):
			add("%s.address: is missing", field)
		case decimals < 0 || decimals > maxDecimals:
			add("%s.decimals: is not 0 to %d", field, maxDecimals)
		}
		names[name], addresses[address] = true, true
	}
	for i, t := range c.Tokens {
		field := fmt.Sprintf("tokens[%d]", i)
		twice(field, t.Name, t.Address, t.Decimals)
		if !currency.MatchString(t.Currency) {
			add("%s.currency: %.40q is not a code, as USD", field, t.Currency)
		}
		if tail := t.tailDigits(); tail < minTail || tail > maxTail || t.Decimals < 2+tail {
			add("%s.tail_digits: %d is not %d to %d, or more than decimals without 2", field, tail, minTail, maxTail)
		}
	}
	for i, t := range c.RefusedTokens {
		twice(fmt.Sprintf("refused_tokens[%d]", i), t.Name, t.Address, t.Decimals)
	}
	return errors.Join(problems...)
}
