package filecoinpay

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Config says where and how invoices are charged.
type Config struct {
	evm.Config

	// Contract is FilecoinPayV1.
	Contract evm.Address `json:"contract"`
	// Payee is who must be paid by a rail: us.
	Payee evm.Address `json:"payee"`
	Token Token       `json:"token"`
	// OperatorKeyFile is the private key of the operator: 64 hexadecimal digits. Only its
	// owner may read it.
	OperatorKeyFile string `json:"operator_key_file"`
	// GasHeadroom is how many percent more gas is offered than the node estimates, 50 if it is
	// 0. What is not used is not paid.
	GasHeadroom uint64 `json:"gas_headroom,omitempty"`
	// MaxFeeGwei is the most that a unit of gas may cost, in 10⁻⁹ of the chain's currency.
	// Above that charges wait. 0 for no bound.
	MaxFeeGwei uint64 `json:"max_fee_gwei,omitempty"`
}

// Token is the one that rails pay in.
type Token struct {
	// Name is how people call it, as "USDFC".
	Name    string      `json:"name"`
	Address evm.Address `json:"address"`
	// Decimals is what its contract says of that.
	Decimals int `json:"decimals"`
	// Currency is that of the invoices which it pays, one for one.
	Currency string `json:"currency"`
}

const (
	defaultHeadroom = 50
	maxHeadroom     = 1000
	maxDecimals     = 36
)

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9.]{1,16}$`)
	currency  = regexp.MustCompile(`^[A-Z0-9]{2,10}$`)
)

// Check returns an error if nothing can be charged with this.
func (c Config) Check() error {
	problems := []error{c.Config.Check()}
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Contract == (evm.Address{}) {
		add("contract: is missing")
	}
	if c.Payee == (evm.Address{}) {
		add("payee: is missing")
	}
	if c.Token.Address == (evm.Address{}) {
		add("token.address: is missing; rails in FIL itself are not supported")
	}
	if !tokenName.MatchString(c.Token.Name) {
		add("token.name: %.40q is not 1 to 16 letters and digits", c.Token.Name)
	}
	if c.Token.Decimals < 0 || c.Token.Decimals > maxDecimals {
		add("token.decimals: is not 0 to %d", maxDecimals)
	}
	if !currency.MatchString(c.Token.Currency) {
		add("token.currency: %.40q is not a code, as USD", c.Token.Currency)
	}
	if c.OperatorKeyFile == "" {
		add("operator_key_file: is missing")
	}
	if c.GasHeadroom > maxHeadroom {
		add("gas_headroom: is more than %d percent", maxHeadroom)
	}
	return errors.Join(problems...)
}

func (c Config) headroom() uint64 {
	if c.GasHeadroom == 0 {
		return defaultHeadroom
	}
	return c.GasHeadroom
}
