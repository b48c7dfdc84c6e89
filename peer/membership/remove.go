package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxConflicts is how often one change of a member starts again.
const maxConflicts = 20

// Remove takes a peer out of the cluster. One that is live hands its pins over
// first if the options say so: it is marked as leaving, and Finish removes it.
// This one does not: upstream removes a peer that shuts down with
// leave_on_shutdown, and goes on shutting down.
// When Remove returns nil, the View of this process shows the change. It fails
// for a peer that is unknown, and for the last live one when that is this one.
func (m *Monitor) Remove(ctx context.Context, p peer.ID) error {
	ctx, span := trace.StartSpan(ctx, "membership/Remove")
	defer span.End()

	err := m.change(ctx, p, func(row *state.Member) (done bool, err error) {
		if p != m.opts.ID && m.handsOver() && m.canHandOver(p) {
			done = !row.Leaving.IsZero()
			row.Leaving = time.Now()
			return done, nil
		}
		return false, markRemoved(row)
	})
	if err != nil {
		return fmt.Errorf("removing peer %s: %w", p, err)
	}
	return nil
}

// Finish removes a peer that was leaving and has handed its pins over.
func (m *Monitor) Finish(ctx context.Context, p peer.ID) error {
	ctx, span := trace.StartSpan(ctx, "membership/Finish")
	defer span.End()

	err := m.change(ctx, p, func(row *state.Member) (done bool, err error) {
		if row.Leaving.IsZero() {
			return false, errors.New("it is not leaving (any more)")
		}
		return false, markRemoved(row)
	})
	if err != nil {
		return fmt.Errorf("removing peer %s, which has handed over its pins: %w", p, err)
	}
	return nil
}

// markRemoved gives the row a new incarnation as well: heartbeats of the process
// that was the peer are then not those of a member any more.
func markRemoved(row *state.Member) (err error) {
	row.Removed = time.Now()
	row.Incarnation, err = newIncarnation()
	return err
}

// change rewrites who a peer is by f, until that is done or the peer is removed.
// It ends with a read.
func (m *Monitor) change(ctx context.Context, id peer.ID, f func(*state.Member) (done bool, err error)) error {
	if err := m.writes.acquire(ctx); err != nil {
		return err
	}
	defer m.writes.release()
	var written *state.Member
	for try := range maxConflicts {
		rows, err := m.read(ctx)
		if err != nil {
			return err
		}
		row, ok := find(rows, id)
		switch {
		case !ok:
			return errors.New("it is not in the cluster")
		case !row.Removed.IsZero():
			return nil
		case written != nil && row.Incarnation != written.Incarnation:
			return nil // another process took the identity after the change
		case m.isLast(id):
			return errors.New("it is the last peer of the cluster")
		}
		was := row
		if done, err := f(&row); err != nil || done {
			return err
		}
		err = m.opts.Members.PutMember(ctx, identity(row), was)
		if err != nil && !errors.Is(err, state.ErrMemberChanged) {
			return fmt.Errorf("writing it: %w", err)
		}
		if err == nil {
			written = &row
			continue
		}
		if err := pause(ctx, time.Duration(try+1)*10*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("given up after %d conflicts with others: %w", maxConflicts, state.ErrMemberChanged)
}

// identity is the row without its heartbeat.
func identity(row state.Member) state.Member {
	row.Beat, row.BeatOf, row.TTL, row.Metrics = 0, state.Incarnation{}, 0, nil
	return row
}

// handsOver tells whether this peer gives the pins of others away when they go.
func (m *Monitor) handsOver() bool { return m.opts.HandOver != nil && m.opts.HandOver() }

// canHandOver tells whether the peer runs the loop that hands its pins over.
func (m *Monitor) canHandOver(id peer.ID) bool {
	p, ok := m.View().Get(id)
	return ok && p.Live && p.Works()
}

// isLast tells whether the peer is this one and all others are dead or removed.
func (m *Monitor) isLast(id peer.ID) bool {
	if id != m.opts.ID {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for other, p := range m.members {
		if other != id && p.live && p.row.Removed.IsZero() {
			return false
		}
	}
	return true
}
