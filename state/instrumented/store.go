// Package instrumented counts what is asked of a pinset, and how long that takes, whatever
// store has it. Spans are made by the stores: they know what a call is made of.
package instrumented

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Underlying is a store that can be counted.
type Underlying interface {
	state.Store
	state.Updater
	state.Conditional
}

// Store passes all calls on and counts them. It is as safe for concurrent use as the store
// below it.
type Store struct {
	next    Underlying
	metrics *Metrics
}

var _ Underlying = (*Store)(nil)

// New returns a Store that counts with metrics, which may be nil: it then counts nothing.
func New(next Underlying, metrics *Metrics) *Store { return &Store{next: next, metrics: metrics} }

// List implements state.Store. It takes as long as the reader of out lets it.
func (s *Store) List(ctx context.Context, out chan<- api.Pin) error {
	began := time.Now()
	err := s.next.List(ctx, out)
	s.metrics.note(list, began, outcomeOf(ctx, err))
	return err
}

// Has implements state.Store.
func (s *Store) Has(ctx context.Context, c api.Cid) (bool, error) {
	began := time.Now()
	there, err := s.next.Has(ctx, c)
	s.metrics.note(has, began, outcomeOf(ctx, err))
	return there, err
}

// Get implements state.Store.
func (s *Store) Get(ctx context.Context, c api.Cid) (api.Pin, error) {
	began := time.Now()
	pin, err := s.next.Get(ctx, c)
	s.metrics.note(get, began, outcomeOf(ctx, err))
	return pin, err
}

// Add implements state.Store.
func (s *Store) Add(ctx context.Context, pin api.Pin) error {
	began := time.Now()
	err := s.next.Add(ctx, pin)
	s.metrics.note(add, began, outcomeOf(ctx, err))
	return err
}

// Rm implements state.Store.
func (s *Store) Rm(ctx context.Context, c api.Cid) error {
	began := time.Now()
	err := s.next.Rm(ctx, c)
	s.metrics.note(rm, began, outcomeOf(ctx, err))
	return err
}

// Update implements state.Updater. An error of f is the outcome "invalid": what was asked for
// is refused.
func (s *Store) Update(ctx context.Context, c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	began := time.Now()
	var refusal error
	err := s.next.Update(ctx, c, func(current *api.Pin) (next *api.Pin, err error) {
		next, refusal = f(current)
		return next, refusal
	})
	out := outcomeOf(ctx, err)
	if err != nil && refusal != nil && errors.Is(err, refusal) {
		out = invalid
	}
	s.metrics.note(update, began, out)
	return err
}

// GetVersion implements state.Conditional.
func (s *Store) GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	began := time.Now()
	pin, rev, err := s.next.GetVersion(ctx, c)
	out := outcomeOf(ctx, err)
	if err == nil && pin == nil {
		out = notFound
	}
	s.metrics.note(getVersion, began, out)
	return pin, rev, err
}

// PutIf implements state.Conditional.
func (s *Store) PutIf(ctx context.Context, pin api.Pin, rev state.Revision) error {
	began := time.Now()
	err := s.next.PutIf(ctx, pin, rev)
	s.metrics.note(putIf, began, outcomeOf(ctx, err))
	return err
}

// DeleteIf implements state.Conditional.
func (s *Store) DeleteIf(ctx context.Context, c api.Cid, rev state.Revision) error {
	began := time.Now()
	err := s.next.DeleteIf(ctx, c, rev)
	s.metrics.note(deleteIf, began, outcomeOf(ctx, err))
	return err
}

// Marshal implements state.Store. It is not counted: the pins come from List.
func (s *Store) Marshal(w io.Writer) error { return s.next.Marshal(w) }

// Unmarshal implements state.Store. It is not counted.
func (s *Store) Unmarshal(r io.Reader) error { return s.next.Unmarshal(r) }

// Migrate implements state.Store. It is not counted.
func (s *Store) Migrate(ctx context.Context, r io.Reader) error { return s.next.Migrate(ctx, r) }
