package filecoinpay

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Name is the rail of all payments by Filecoin Pay, and where the journal has what is
// remembered of them.
const Name = "filecoinpay"

// Rail charges invoices, and watches what was charged. New makes one. It implements
// rails.Collector. The customer of an invoice is the number of a rail.
type Rail struct {
	config   Config
	key      key
	operator evm.Address
	nodes    []*evm.Client
	journal  rails.Journal
	watcher  *evm.Watcher

	mu      sync.Mutex
	checked bool            // what the contracts say is what the configuration says
	foreign map[string]bool // rails of other operators
}

var _ rails.Collector = (*Rail)(nil)

// New returns a Rail. It reads the files with keys, and asks no node yet.
func New(config Config, journal rails.Journal) (*Rail, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	k, err := readKey(config.OperatorKeyFile)
	if err != nil {
		return nil, err
	}
	nodes, err := config.Clients()
	if err != nil {
		return nil, err
	}
	r := &Rail{config: config, key: k, operator: k.address(), nodes: nodes, journal: journal, foreign: make(map[string]bool)}
	query := evm.Query{Addresses: []evm.Address{config.Contract}, Topics: [][]evm.Hash{{chargedTopic()}}}
	r.watcher = evm.NewWatcher(config.Config, nodes, journal, Name, query, r)
	return r, nil
}

// Close ends the connections that nobody uses.
func (r *Rail) Close() {
	for _, node := range r.nodes {
		node.Close()
	}
}

// Name returns Name.
func (r *Rail) Name() string { return Name }

// Operator is the account that payers approve, and that pays for gas.
func (r *Rail) Operator() evm.Address { return r.operator }

// Status returns how far the chain has been read.
func (r *Rail) Status() evm.Status { return r.watcher.Status() }

// Poll sends again what waits for a block, and reads the chain to its head, once. It must
// not be called twice at once.
func (r *Rail) Poll(ctx context.Context) error {
	if err := r.check(ctx); err != nil {
		return err
	}
	return errors.Join(r.again(ctx), r.watcher.Poll(ctx))
}

// Run polls at once and then after each pause, until the context ends. It reports each
// error, and goes on.
func (r *Rail) Run(ctx context.Context, pause time.Duration, report func(error)) {
	evm.Repeat(ctx, pause, r.Poll, report)
}

// again sends the transaction that is the next one in the chain, if it was kept: its node
// may have forgotten it, or who kept it has stopped before it sent it.
func (r *Rail) again(ctx context.Context) error {
	nonce, err := r.nodes[0].Nonce(ctx, r.operator)
	if err != nil {
		return err
	}
	s, err := r.slot(ctx, nonce)
	if err != nil || s == nil {
		return err
	}
	return r.push(ctx, *s)
}

// check looks once whether the nodes are of the chain, the contract is there, and the
// token has as many digits as the configuration says.
func (r *Rail) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.checked {
		return nil
	}
	if err := evm.CheckChain(ctx, r.config.Config, r.nodes); err != nil {
		return err
	}
	for _, question := range []struct {
		of   evm.Address
		what string
		want int64
	}{
		{r.config.Token.Address, "decimals()", int64(r.config.Token.Decimals)},
		{r.config.Contract, "NETWORK_FEE_DENOMINATOR()", feeDivisor},
		{r.config.Contract, "NETWORK_FEE_NUMERATOR()", 1},
	} {
		answer, err := r.nodes[0].Call(ctx, evm.Call{From: r.operator, To: question.of, Data: call(question.what)})
		if err != nil {
			return err
		}
		if len(answer) != 32 || answer.Word(0).Cmp(big.NewInt(question.want)) != 0 {
			return fmt.Errorf("%s: %s of %s is %#x, and should be %d", r.config.Name, question.what, question.of, []byte(answer), question.want)
		}
	}
	r.checked = true
	return nil
}
