package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// peersPartition is the one partition of peers: a keyspace belongs to one
// cluster.
const peersPartition = "ipfs-cluster"

// Bounds of what one peer may write. Everybody reads the rows of all peers
// several times in a heartbeat.
const (
	maxMemberName      = 256
	maxMemberText      = 4 << 10 // role and instance, which has a path in it
	maxMemberAddresses = 64
	maxMemberAddress   = 1 << 10
	maxMetrics         = 64 << 10
	maxBeatTTL         = 30 * 24 * time.Hour
)

var _ state.Members = (*Store)(nil)

// PutMember implements state.Members. After an error that matches
// state.ErrOutcomeUnknown the member may have been written; after other errors it
// was not. Times are kept to the millisecond.
func (s *Store) PutMember(ctx context.Context, m, was state.Member) error {
	err := checkMember(m)
	if err == nil {
		err = s.goLive(ctx)
	}
	if err == nil {
		err = s.putMember(ctx, m, was)
	}
	if err != nil {
		return fmt.Errorf("writing the peer %s: %w", m.ID, err)
	}
	if !was.Removed.IsZero() && m.Removed.IsZero() {
		s.forgetHandedOver(ctx, m.ID, was.Removed)
	}
	return nil
}

func (s *Store) putMember(ctx context.Context, m, was state.Member) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx = scylla.WithTrail(ctx)
	mine, err := s.swapMember(ctx, m, was)
	if err != nil && !scylla.NotSent(err) && !scylla.Rejected(err) {
		mine, err = s.resolveMember(ctx, m, was, err)
	}
	if err == nil && !mine {
		return state.ErrMemberChanged
	}
	return err
}

// swapMember makes the conditional write once.
func (s *Store) swapMember(ctx context.Context, m, was state.Member) (applied bool, err error) {
	var incarnation *gocql.UUID // null: there must be none
	if was.Incarnation != (state.Incarnation{}) {
		incarnation = (*gocql.UUID)(&was.Incarnation)
	}
	version := newUUID(s.now())
	applied, _, err = s.db.CAS(ctx, scylla.Bind(writeMember, version, version, m.Name, m.Role, m.Addresses, gocql.UUID(m.Incarnation), m.Instance,
		timeOrNull(m.Leaving), timeOrNull(m.Removed), peersPartition, m.ID.String(),
		incarnation, timeOrNull(was.Leaving), timeOrNull(was.Removed)))
	return applied, err
}

// resolveMember finds out what became of a write whose answer was lost, and
// reports whether the member is now as it was to be written. Writing once more
// shuts out that the first request is applied later: either that did it, or this
// does, or the condition does not hold any more. The context of the caller may
// have ended, so it goes on under one of its own.
func (s *Store) resolveMember(ctx context.Context, m, was state.Member, cause error) (mine bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.resolveTime())
	defer cancel()
	logger.Debugf("the outcome of writing the peer %s is open, asking again: %s", m.ID, cause)
	for try := 0; ; try++ {
		applied, err := s.swapMember(ctx, m, was)
		if applied {
			return true, nil
		}
		if err == nil {
			var now state.Member
			if now, err = s.readMember(ctx, m.ID); err == nil {
				return sameIdentity(now, m), nil
			}
		}
		if pause(ctx, s.random, try) != nil {
			s.db.NotServed(err)
			return false, fmt.Errorf("%w: %w", state.ErrOutcomeUnknown, cause)
		}
	}
}

// readMember returns who a peer is, by a read that finishes or rules out writes
// that are under way; the zero Member when there is none.
func (s *Store) readMember(ctx context.Context, id peer.ID) (state.Member, error) {
	var cells memberCells
	if _, err := s.db.Read(ctx, gocql.Serial, scylla.Bind(selectMember, peersPartition, id.String()), cells.columns()...); err != nil {
		return state.Member{}, fmt.Errorf("reading the peer %s: %w", id, err)
	}
	if cells.incarnation == nil {
		return state.Member{}, nil
	}
	return cells.member(id), nil
}

// checkMember refuses what would be nobody, and what is too large for a row that
// everybody reads.
func checkMember(m state.Member) error {
	if err := m.ID.Validate(); err != nil {
		return err
	}
	switch {
	case m.Incarnation == (state.Incarnation{}):
		return errors.New("it has no incarnation")
	case len(m.Name) > maxMemberName:
		return fmt.Errorf("its name has %d bytes, more than %d", len(m.Name), maxMemberName)
	case len(m.Role) > maxMemberText:
		return fmt.Errorf("its role has %d bytes, more than %d", len(m.Role), maxMemberText)
	case len(m.Instance) > maxMemberText:
		return fmt.Errorf("its instance has %d bytes, more than %d", len(m.Instance), maxMemberText)
	case len(m.Addresses) > maxMemberAddresses:
		return fmt.Errorf("it has %d addresses, more than %d", len(m.Addresses), maxMemberAddresses)
	}
	for _, a := range m.Addresses {
		if len(a) > maxMemberAddress {
			return fmt.Errorf("an address has %d bytes, more than %d", len(a), maxMemberAddress)
		}
	}
	return nil
}

// sameIdentity reports whether what PutMember writes is equal.
func sameIdentity(a, b state.Member) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Role == b.Role && slices.Equal(a.Addresses, b.Addresses) &&
		a.Incarnation == b.Incarnation && a.Instance == b.Instance &&
		a.Leaving.UnixMilli() == b.Leaving.UnixMilli() && a.Removed.UnixMilli() == b.Removed.UnixMilli()
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
