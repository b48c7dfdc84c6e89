package filecoinpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// errBusy says that another transaction of the operator is on its way.
var errBusy = errors.New("another transaction of the operator waits for a block: call again later")

func errCancelled() error {
	return rails.Refuse("the asking was cancelled: ask with a greater revision")
}

// slot is what the operator does with one nonce. It is kept before it is sent, for ever.
type slot struct {
	Nonce uint64   `json:"nonce"`
	Job   string   `json:"job"`
	Hash  evm.Hash `json:"hash"`
	Raw   evm.Data `json:"raw"`
}

// A lane is the transactions of the operator, one nonce after the other. The journal has
//
//	slot/CHAIN/OPERATOR/NONCE  the slot, with its signed bytes
//	job/CHAIN/OPERATOR/JOB     the nonce with which a job is done, or that it never is
//	tx/CHAIN/HASH              the job of a transaction
//	void/CHAIN/OPERATOR/NONCE  what is sent for a slot whose job has another one
//
// A slot is taken by who keeps it first, so two jobs never have one nonce. It is sent only
// after its job has been kept, so a job never has two transactions. The next slot is taken
// when all before it are in the chain, by a job that has asked the chain after that.

func (r *Rail) laneKey(what, rest string) string {
	return fmt.Sprintf("%s/%d/%s/%s", what, r.config.ChainID, r.operator, rest)
}

func (r *Rail) slotKey(nonce uint64) string {
	return r.laneKey("slot", strconv.FormatUint(nonce, 10))
}

func (r *Rail) txKey(hash evm.Hash) string { return fmt.Sprintf("tx/%d/%s", r.config.ChainID, hash) }

// slot returns what a nonce is for, nil if it is free.
func (r *Rail) slot(ctx context.Context, nonce uint64) (*slot, error) {
	return readSlot(r.journal.Recall(ctx, Name, r.slotKey(nonce)))
}

func readSlot(text string, err error) (*slot, error) {
	if err != nil || text == "" {
		return nil, err
	}
	var s slot
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("a transaction that was kept cannot be read: %w", err)
	}
	return &s, nil
}

// never is kept instead of a nonce for a job that was cancelled.
const never = "never"

// doing returns the slot with which a job is done, nil if none is, and whether the job was
// cancelled.
func (r *Rail) doing(ctx context.Context, job string) (s *slot, cancelled bool, err error) {
	return r.readJob(ctx)(r.journal.Recall(ctx, Name, r.laneKey("job", job)))
}

// cancel cancels a job if it is not begun, and returns what doing does.
func (r *Rail) cancel(ctx context.Context, job string) (s *slot, cancelled bool, err error) {
	return r.readJob(ctx)(r.journal.Remember(ctx, Name, r.laneKey("job", job), never))
}

func (r *Rail) readJob(ctx context.Context) func(text string, err error) (*slot, bool, error) {
	return func(text string, err error) (*slot, bool, error) {
		if err != nil || text == "" || text == never {
			return nil, text == never, err
		}
		s, err := r.slotOf(ctx, text)
		return s, false, err
	}
}

func (r *Rail) slotOf(ctx context.Context, nonce string) (*slot, error) {
	n, err := strconv.ParseUint(nonce, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("a nonce that was kept cannot be read: %w", err)
	}
	s, err := r.slot(ctx, n)
	if err == nil && s == nil {
		return nil, fmt.Errorf("the transaction of nonce %d was not kept", n)
	}
	return s, err
}

// free returns the next nonce, for a job that is made from what the chain has now. It
// returns errBusy while another one is on its way.
func (r *Rail) free(ctx context.Context) (uint64, error) {
	nonce, err := r.nodes[0].Nonce(ctx, r.operator)
	if err != nil {
		return 0, err
	}
	s, err := r.slot(ctx, nonce)
	if err == nil && s != nil {
		if err = r.push(ctx, *s); err == nil {
			err = errBusy
		}
	}
	return nonce, err
}

// do begins a job that was not begun, with a nonce that was free before the chain was asked
// for what the job is made from, and returns its slot. It returns errBusy if another one
// was first.
func (r *Rail) do(ctx context.Context, nonce uint64, job string, data []byte) (*slot, error) {
	s, err := r.make(ctx, nonce, job, data)
	if err != nil {
		return nil, err
	}
	if err := r.push(ctx, *s); err != nil {
		return nil, err
	}
	done, cancelled, err := r.doing(ctx, job)
	switch {
	case cancelled:
		return nil, errCancelled()
	case err == nil && done == nil:
		return nil, errBusy
	}
	return done, err
}

// make signs a transaction and keeps it. Another process may have been first: then it
// returns the slot of that.
func (r *Rail) make(ctx context.Context, nonce uint64, job string, data []byte) (*slot, error) {
	tx, err := r.priced(ctx, r.config.Contract, data)
	if err != nil {
		return nil, err
	}
	tx.nonce = nonce
	raw, hash := tx.signed(r.key)
	text, err := json.Marshal(slot{nonce, job, hash, raw})
	if err != nil {
		return nil, err
	}
	return readSlot(r.journal.Remember(ctx, Name, r.slotKey(nonce), string(text)))
}

// priced returns a transaction with what the node says that it costs, and headroom.
func (r *Rail) priced(ctx context.Context, to evm.Address, data []byte) (transaction, error) {
	node := r.nodes[0]
	gas, err := node.EstimateGas(ctx, evm.Call{From: r.operator, To: to, Data: data})
	if err != nil {
		return transaction{}, err
	}
	head, err := node.Tagged(ctx, evm.Latest)
	if err != nil {
		return transaction{}, err
	}
	tip, err := node.Tip(ctx)
	if err != nil {
		return transaction{}, err
	}
	tx := transaction{chainID: r.config.ChainID, tip: tip, to: to, data: data}
	tx.gas = gas + gas/100*r.config.headroom()
	now := new(big.Int).Add(head.BaseFee.Int(), tip)
	tx.feeCap = new(big.Int).Add(now, head.BaseFee.Int()) // the base fee may double
	if r.config.MaxFeeGwei > 0 {
		most := new(big.Int).Mul(new(big.Int).SetUint64(r.config.MaxFeeGwei), evm.Pow10(9))
		if now.Cmp(most) > 0 {
			return transaction{}, fmt.Errorf("%s: gas costs %s wei, more than max_fee_gwei allows", r.config.Name, now)
		}
		if tx.feeCap.Cmp(most) > 0 {
			tx.feeCap = most
		}
	}
	balance, err := node.Balance(ctx, r.operator)
	if err != nil {
		return transaction{}, err
	}
	if cost := new(big.Int).Mul(tx.feeCap, new(big.Int).SetUint64(tx.gas)); balance.Cmp(cost) < 0 {
		return transaction{}, fmt.Errorf("%s: the operator %s has %s wei, and may need %s for gas: send it some", r.config.Name, r.operator, balance, cost)
	}
	return tx, nil
}

// push sends what a slot is for, however often it was sent before.
func (r *Rail) push(ctx context.Context, s slot) error {
	if _, err := r.journal.Remember(ctx, Name, r.txKey(s.Hash), s.Job); err != nil {
		return err
	}
	nonce := strconv.FormatUint(s.Nonce, 10)
	kept, err := r.journal.Remember(ctx, Name, r.laneKey("job", s.Job), nonce)
	if err != nil {
		return err
	}
	raw := []byte(s.Raw)
	if kept != nonce { // it was cancelled, or two processes began it with two nonces
		if raw, err = r.void(ctx, s.Nonce); err != nil {
			return err
		}
	}
	err = r.nodes[0].Send(ctx, raw)
	var refused *evm.RPCError
	if errors.As(err, &refused) && strings.Contains(strings.ToLower(refused.Message), "nonce too low") {
		return nil // it is in the chain
	}
	return err
}

// void returns a transaction that does nothing but use a nonce.
func (r *Rail) void(ctx context.Context, nonce uint64) ([]byte, error) {
	key := r.laneKey("void", strconv.FormatUint(nonce, 10))
	kept, err := r.journal.Recall(ctx, Name, key)
	if err != nil {
		return nil, err
	}
	if kept == "" {
		tx, err := r.priced(ctx, r.operator, nil)
		if err != nil {
			return nil, err
		}
		tx.nonce = nonce
		raw, _ := tx.signed(r.key)
		text, err := evm.Data(raw).MarshalText()
		if err != nil {
			return nil, err
		}
		if kept, err = r.journal.Remember(ctx, Name, key, string(text)); err != nil {
			return nil, err
		}
	}
	var raw evm.Data
	err = raw.UnmarshalText([]byte(kept))
	return raw, err
}
