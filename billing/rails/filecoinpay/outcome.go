package filecoinpay

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// outcome is what has come of a transaction.
type outcome int

const (
	// waiting means that it is in no block, and may come into one.
	waiting outcome = iota
	// took means that it took effect, in a block that may still be replaced.
	took
	// failing means that it failed in a block that may still be replaced.
	failing
	// failed means that it failed for ever.
	failed
	// displaced means that another transaction had its nonce, for ever.
	displaced
)

// outcome asks the nodes what has come of the transaction of a slot.
func (r *Rail) outcome(ctx context.Context, s *slot) (outcome, *evm.Receipt, error) {
	// The nonce is read before the receipt: what was in the chain then has a receipt now.
	_, final, err := evm.Heights(ctx, r.config.Config, r.nodes)
	if err != nil {
		return 0, nil, err
	}
	used := true
	for _, node := range r.nodes {
		nonce, err := node.NonceAt(ctx, r.operator, final)
		if err != nil {
			return 0, nil, err
		}
		used = used && nonce > s.Nonce
	}
	for _, node := range r.nodes {
		receipt, err := node.Receipt(ctx, s.Hash)
		if err != nil {
			return 0, nil, err
		}
		switch {
		case receipt == nil:
			continue
		case receipt.Status == 1:
			return took, receipt, nil
		case uint64(receipt.Block) <= final:
			return failed, receipt, nil
		}
		return failing, receipt, nil
	}
	if used {
		return displaced, nil, nil
	}
	return waiting, nil, nil
}

// tell says what came of a transaction, for people.
func (o outcome) tell(s *slot) string {
	switch o {
	case failed:
		return fmt.Sprintf("transaction %s failed in the chain", s.Hash)
	case displaced:
		return fmt.Sprintf("transaction %s can come into no block, as another one had its nonce %d: is the operator's key used elsewhere?", s.Hash, s.Nonce)
	}
	return fmt.Sprintf("transaction %s", s.Hash)
}
