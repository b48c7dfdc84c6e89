package scyllastate

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var _ state.Conditional = (*Store)(nil)

// GetVersion implements state.Conditional.
func (s *Store) GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	ctx, span := trace.StartSpan(ctx, "state/scylla/GetVersion")
	defer span.End()

	r, err := s.readRow(ctx, c, gocql.Quorum)
	if err != nil {
		return nil, state.Revision{}, err
	}
	pin, err := r.decode(c)
	return pin, state.Revision(r.rev), err
}

// PutIf implements state.Conditional.
// Action Write of spec/Moves.tla.
func (s *Store) PutIf(ctx context.Context, pin api.Pin, rev state.Revision) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/PutIf")
	defer span.End()

	next, err := encodePin(pin)
	if err != nil {
		return err
	}
	return s.updateIf(ctx, pin.Cid, rev, next)
}

// DeleteIf implements state.Conditional.
func (s *Store) DeleteIf(ctx context.Context, c api.Cid, rev state.Revision) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/DeleteIf")
	defer span.End()
	return s.updateIf(ctx, c, rev, nil)
}

// updateIf goes the way of every write, and leaves it as soon as the row is
// another one.
func (s *Store) updateIf(ctx context.Context, c api.Cid, rev state.Revision, next *content) error {
	return s.update(ctx, byWriteIf, c, func(old row) (*api.Pin, *content, error) {
		if state.Revision(old.rev) != rev || old.pin == nil {
			return nil, nil, fmt.Errorf("writing the pin of %s: %w", c, state.ErrChanged)
		}
		current, err := old.decode(c)
		return current, next, err
	})
}
