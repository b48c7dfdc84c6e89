package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// fence gives the row a new revision and leaves the pin alone, so that a writer
// that was stopped before its conditional update fails it and starts again. It
// returns the row as it is afterwards, which may be that of yet another writer.
// A row that is absent becomes a marker. After an error the row may have been
// fenced; it can be repeated.
// Operators SendFence and FenceOfOther of spec/WritePath.tla.
func (s *Store) fence(ctx context.Context, c api.Cid, old row) (row, error) {
	if err := s.clock.check(); err != nil {
		return row{}, err
	}
	if err := s.goLive(ctx); err != nil {
		return row{}, err
	}
	w := &write{cid: c, old: old, rev: nextRev(s.now(), old.rev), next: bulkContent(c, old)}
	s.at(beforeIntents, w)
	if err := s.tellHolders(ctx, w); err != nil {
		return row{}, fmt.Errorf("telling the holders of %s before its writer is fenced: %w", c, err)
	}
	var applied bool
	var err error
	if old.pin == nil || w.next != nil {
		applied, _, err = s.tables.swap(ctx, w)
	} else {
		applied, _, err = s.tables.fence(ctx, w)
	}
	s.at(afterCAS, w)
	if err != nil {
		return row{}, fmt.Errorf("fencing the writer of %s: %w", c, err)
	}
	if !applied { // what the condition returns lacks prev
		s.metrics.conflict(byFence)
		return s.readRow(ctx, c, gocql.Quorum)
	}
	s.metrics.hasFenced()
	logger.Infof("fenced a writer of %s that has not finished", c)
	s.nudges.wrote(w.feeds)
	return row{rev: w.rev, prev: old.rev, pin: old.pin}, nil
}

// tellHolders announces the revision of a fence to those who hold the pin. They confirm
// each revision: in one that they do not hear of none of them counts as a copy, and
// nobody else could let go of his. That is a row for each, from each that fences: they take
// turns, see turnOf. Events tell of it, too, also where there is no pin.
// Action Fence of spec/Moves.tla, Operator SendFence of spec/WritePath.tla.
func (s *Store) tellHolders(ctx context.Context, w *write) error {
	if pin, err := w.old.decode(w.cid); err == nil && pin != nil && !pin.IsPinEverywhere() {
		w.feeds = feedsFor(pin) // nobody holds what cannot be decoded
	}
	w.feeds = s.withEvents(w.feeds, w.cid)
	if len(w.feeds) == 0 {
		return nil
	}
	rows := newIntents(ctx, w)
	for i := range rows {
		rows[i].Kind = kindFence
		if isEventFeed(rows[i].Feed) {
			rows[i].Kind = kindEventFence
		}
	}
	return s.intents.append(ctx, rows)
}

// bulkContent returns what the row holds if it was written in bulk. Its cells are
// then as old as its revision: fenced without them, they would lose to a later bulk
// write, or to the sweep of a migration that does not know yet that it must stop.
func bulkContent(c api.Cid, old row) *content {
	if old.pin == nil || old.rev.Time().After(time.UnixMicro(stampOf(state.MaxMigrationRuns+1, 0))) {
		return nil
	}
	next, err := newContent(c, old.pin)
	if err != nil {
		return nil // the fence alone leaves what cannot be read as it is
	}
	return next
}
