package erc20

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// Name is the rail of all payments in tokens, and where the journal has what is remembered
// of them.
const Name = "erc20"

// Rail watches what is received on all chains of a configuration. New makes one.
type Rail struct {
	chains  []*chain
	journal rails.Journal
}

// chain is one of a Rail.
type chain struct {
	config  Chain
	rail    *Rail
	nodes   []*evm.Client
	watcher *evm.Watcher

	mu      sync.Mutex
	checked bool // what the contracts say is what the configuration says
}

// New returns a Rail. It reads the files with keys, and asks no node yet.
func New(config Config, journal rails.Journal) (*Rail, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	r := &Rail{journal: journal}
	for _, c := range config.Chains {
		nodes, err := c.Clients()
		if err != nil {
			return nil, err
		}
		one := &chain{config: c, rail: r, nodes: nodes}
		one.watcher = evm.NewWatcher(c.Config, nodes, journal, Name, c.query(), one)
		r.chains = append(r.chains, one)
	}
	return r, nil
}

// Close ends the connections that nobody uses.
func (r *Rail) Close() {
	for _, c := range r.chains {
		for _, node := range c.nodes {
			node.Close()
		}
	}
}

// Poll reads all chains to their heads, once. It must not be called twice at once. One
// chain that cannot be read does not keep the others from it.
func (r *Rail) Poll(ctx context.Context) error {
	var problems []error
	for _, c := range r.chains {
		problems = append(problems, c.poll(ctx))
	}
	return errors.Join(problems...)
}

// Run reads each chain at once and after each pause, until the context ends. It reports
// each error, also of several chains at once, and goes on.
func (r *Rail) Run(ctx context.Context, pause time.Duration, report func(error)) {
	var group sync.WaitGroup
	for _, c := range r.chains {
		group.Go(func() { evm.Repeat(ctx, pause, c.poll, report) })
	}
	group.Wait()
}

// Status returns how far each chain has been read, by its name.
func (r *Rail) Status() map[string]evm.Status {
	all := make(map[string]evm.Status)
	for _, c := range r.chains {
		all[c.config.Name] = c.watcher.Status()
	}
	return all
}

func (c *chain) poll(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	return c.watcher.Poll(ctx)
}

// check looks once whether the nodes are of the chain, and whether the tokens have as many
// digits as the configuration says: what is asked would be wrong by powers of ten.
func (c *chain) check(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked {
		return nil
	}
	if err := evm.CheckChain(ctx, c.config.Config, c.nodes); err != nil {
		return err
	}
	for _, t := range c.config.Tokens {
		selector := evm.Keccak([]byte("decimals()"))
		answer, err := c.nodes[0].Call(ctx, evm.Call{To: t.Address, Data: selector[:4]})
		if err != nil {
			return err
		}
		if len(answer) != 32 || answer.Word(0).Cmp(big.NewInt(int64(t.Decimals))) != 0 {
			return fmt.Errorf("%s: the contract %s says that %s has the decimals %#x, and the configuration %d", c.config.Name, t.Address, t.Name, []byte(answer), t.Decimals)
		}
	}
	c.checked = true
	return nil
}

// coin returns a token of the chain, and false if it has no such one.
func (c *chain) coin(matches func(Token) bool) (coin, bool) {
	i := slices.IndexFunc(c.config.Tokens, matches)
	if i < 0 {
		return coin{}, false
	}
	return coin{c.config.Name, c.config.Tokens[i], c.rail.journal}, true
}
