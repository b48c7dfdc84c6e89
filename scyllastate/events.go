package scyllastate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var _ state.Events = (*Store)(nil)

// EventsSince implements state.Events.
func (s *Store) EventsSince() time.Time { return s.eventsSince }

// LogStatus implements state.EventLog. While the clock of this machine is wrong it fails,
// as every write to a feed does.
func (s *Store) LogStatus(ctx context.Context, events ...state.StatusEvent) error {
	if s.eventsSince.IsZero() {
		return nil
	}
	rows := make([]intent, len(events))
	for i, e := range events {
		var err error
		if rows[i], err = statusIntent(e); err != nil {
			return err
		}
	}
	if err := s.logEvents(ctx, rows); err != nil {
		return fmt.Errorf("noting what a peer has done with %d pins: %w", len(events), err)
	}
	return nil
}

// LogPeer implements state.EventLog.
func (s *Store) LogPeer(ctx context.Context, event state.PeerEvent) error {
	if s.eventsSince.IsZero() {
		return nil
	}
	row, err := peerIntent(event)
	if err != nil {
		return err
	}
	if err := s.logEvents(ctx, []intent{row}); err != nil {
		return fmt.Errorf("noting what became of peer %s: %w", event.ID, err)
	}
	return nil
}

func (s *Store) logEvents(ctx context.Context, rows []intent) error {
	if err := s.intents.append(ctx, rows); err != nil {
		return err
	}
	feeds := make([]string, len(rows))
	for i := range rows {
		feeds[i] = rows[i].Feed
	}
	slices.Sort(feeds)
	s.nudges.wrote(slices.Compact(feeds))
	return nil
}

// TryLease implements state.Events.
func (s *Store) TryLease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error) {
	return s.db.TryLease(ctx, name, holder, ttl)
}

// FreeLease implements state.Events.
func (s *Store) FreeLease(ctx context.Context, name, holder string, epoch int64) error {
	return s.db.FreeLease(ctx, name, holder, epoch)
}
