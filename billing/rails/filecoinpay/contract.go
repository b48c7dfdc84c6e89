package filecoinpay

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// The fee that the contract keeps of each payment: one of two hundred, rounded up.
const feeDivisor = 200

// NetworkFee is what the contract keeps of a gross amount.
func NetworkFee(gross *big.Int) *big.Int {
	fee := new(big.Int).Add(gross, big.NewInt(feeDivisor-1))
	return fee.Div(fee, big.NewInt(feeDivisor))
}

// Gross is the least amount of which net is left without the network fee: what an invoice
// must say if its payer bears the fee.
func Gross(net *big.Int) *big.Int {
	gross := new(big.Int).Mul(net, big.NewInt(feeDivisor))
	gross.Div(gross, big.NewInt(feeDivisor-1))
	for new(big.Int).Sub(gross, NetworkFee(gross)).Cmp(net) < 0 {
		gross.Add(gross, big.NewInt(1))
	}
	return gross
}

// call returns the data of a call with numbers.
func call(signature string, args ...*big.Int) []byte {
	selector := evm.Keccak([]byte(signature))
	data := selector[:4:4]
	for _, arg := range args {
		data = append(data, arg.FillBytes(make([]byte, 32))...)
	}
	return data
}

func modifyRailLockup(rail, period, fixed *big.Int) []byte {
	return call("modifyRailLockup(uint256,uint256,uint256)", rail, period, fixed)
}

func modifyRailPayment(rail, rate, oneTime *big.Int) []byte {
	return call("modifyRailPayment(uint256,uint256,uint256)", rail, rate, oneTime)
}

// railView is what getRail tells of a rail.
type railView struct {
	token, from, to, operator evm.Address
	rate, period, fixed       *big.Int
	end                       *big.Int // 0 while it is not terminated
	commission                *big.Int // in 1/10,000
}

const railWords = 12

// rail asks the contract for a rail. It is an error if there is none.
func (r *Rail) rail(ctx context.Context, id *big.Int) (railView, error) {
	answer, err := r.nodes[0].Call(ctx, evm.Call{From: r.operator, To: r.config.Contract, Data: call("getRail(uint256)", id)})
	if err != nil {
		return railView{}, err
	}
	if len(answer) != 32*railWords {
		return railView{}, fmt.Errorf("%s: the contract %s says %d bytes of rail %s: it is not FilecoinPayV1", r.config.Name, r.config.Contract, len(answer), id)
	}
	address := func(n int) evm.Address { return evm.Address(answer[32*n+12 : 32*n+32]) }
	return railView{
		token: address(0), from: address(1), to: address(2), operator: address(3),
		rate: answer.Word(5), period: answer.Word(6), fixed: answer.Word(7), end: answer.Word(9), commission: answer.Word(10),
	}, nil
}

// charged is the event of a one-time payment.
type charged struct {
	rail                 *big.Int
	net, commission, fee *big.Int
}

func chargedTopic() evm.Hash {
	return evm.Keccak([]byte("RailOneTimePaymentProcessed(uint256,uint256,uint256,uint256)"))
}

func readCharged(log evm.Log) (charged, bool) {
	if len(log.Topics) != 2 || len(log.Data) != 3*32 {
		return charged{}, false
	}
	return charged{new(big.Int).SetBytes(log.Topics[1][:]), log.Data.Word(0), log.Data.Word(1), log.Data.Word(2)}, true
}

// gross is what the payer paid.
func (c charged) gross() *big.Int {
	sum := new(big.Int).Add(c.net, c.commission)
	return sum.Add(sum, c.fee)
}
