package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var errNoCid = errors.New("the CID is undefined")

// Get returns the pin of c, or state.ErrNotFound. It always asks the database.
func (s *Store) Get(ctx context.Context, c api.Cid) (_ api.Pin, err error) {
	ctx, span := trace.StartSpan(ctx, "state/scylla/Get")
	defer span.End()
	defer func() { err = answer(err) }()

	asked := s.now()
	r, err := s.readRow(ctx, c, s.read)
	if err != nil {
		return api.Pin{}, err
	}
	pin, err := r.decode(c)
	if err != nil {
		return api.Pin{}, err
	}
	if pin == nil {
		if r.absent() && s.read == gocql.Quorum {
			// One data centre alone may lack a marker that is there.
			s.absent.Add(c.KeyString(), asked)
		}
		return api.Pin{}, state.ErrNotFound
	}
	return *pin, nil
}

// Has reports whether c is in the pinset.
func (s *Store) Has(ctx context.Context, c api.Cid) (_ bool, err error) {
	ctx, span := trace.StartSpan(ctx, "state/scylla/Has")
	defer span.End()
	defer func() { err = answer(err) }()

	if !c.Defined() {
		return false, nil
	}
	var rev gocql.UUID
	var rfMin *int
	if _, err := s.db.Read(ctx, s.read, scylla.Bind(selectExists, c.Bytes()), &rev, &rfMin); err != nil {
		return false, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	return rfMin != nil, nil
}

// Add stores the pin, whatever is there.
func (s *Store) Add(ctx context.Context, pin api.Pin) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/Add")
	defer span.End()

	if !pin.Cid.Defined() {
		return fmt.Errorf("adding a pin: %w", errNoCid)
	}
	next, err := encodePin(pin)
	if err != nil {
		return err
	}
	return answer(s.replace(ctx, pin.Cid, next))
}

// Rm removes the pin of c. It is no error when there is none.
func (s *Store) Rm(ctx context.Context, c api.Cid) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/Rm")
	defer span.End()

	if !c.Defined() {
		return nil
	}
	return answer(s.replace(ctx, c, nil))
}

// Migrate does nothing: there is no older format of this state. Pins come in
// from other states by import.
func (s *Store) Migrate(context.Context, io.Reader) error { return nil }

// readRow reads one row of pins; the zero row when there is none.
func (s *Store) readRow(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error) {
	if !c.Defined() {
		return row{}, nil
	}
	return s.tables.readPin(ctx, c, cons)
}
