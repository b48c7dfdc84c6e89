// Package railstest has a Journal in memory, for tests of rails, and a test that every
// Journal passes.
package railstest

import (
	"context"
	"errors"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// Journal is a rails.Journal in memory. The zero value is an empty one.
type Journal struct {
	// Fail, if it is set, is asked before and after each call takes effect, with the
	// method and the key or id: the call returns the error that it returns.
	Fail func(method, key string, done bool) error

	mu       sync.Mutex
	kept     map[[2]string]string
	payments map[[2]string]rails.Payment
}

func (j *Journal) fail(method, key string, done bool) error {
	if j.Fail == nil {
		return nil
	}
	return j.Fail(method, key, done)
}

// Recall implements rails.Journal.
func (j *Journal) Recall(ctx context.Context, rail, key string) (string, error) {
	if err := errors.Join(ctx.Err(), j.fail("Recall", key, false)); err != nil {
		return "", err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.kept[[2]string{rail, key}], nil
}

// Remember implements rails.Journal.
func (j *Journal) Remember(ctx context.Context, rail, key, value string) (string, error) {
	if value == "" {
		return "", errors.New("there is nothing to remember")
	}
	if err := errors.Join(ctx.Err(), j.fail("Remember", key, false)); err != nil {
		return "", err
	}
	kept := j.remember([2]string{rail, key}, value)
	return kept, j.fail("Remember", key, true)
}

func (j *Journal) remember(key [2]string, value string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if kept := j.kept[key]; kept != "" {
		return kept
	}
	if j.kept == nil {
		j.kept = make(map[[2]string]string)
	}
	j.kept[key] = value
	return value
}

// Record implements rails.Journal.
func (j *Journal) Record(ctx context.Context, p rails.Payment) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := errors.Join(ctx.Err(), j.fail("Record", p.ID, false)); err != nil {
		return err
	}
	j.record(p)
	return j.fail("Record", p.ID, true)
}

func (j *Journal) record(p rails.Payment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := [2]string{p.Rail, p.ID}
	if recorded, ok := j.payments[key]; ok && !p.Replaces(recorded) {
		return
	}
	if j.payments == nil {
		j.payments = make(map[[2]string]rails.Payment)
	}
	j.payments[key] = p
}

// Payment returns what is recorded of an id.
func (j *Journal) Payment(rail, id string) (rails.Payment, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.payments[[2]string{rail, id}]
	return p, ok
}

// Payments returns how many ids are recorded.
func (j *Journal) Payments() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.payments)
}
