package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Whether there are rows of events is the same in every process that writes: those of
// one that leaves them out nobody could notice. It is stored in the keyspace, by the
// first peer that is configured to have events, and each process reads it when it
// starts.

// StartEvents lets the keyspace have events from now on, if it has none yet, and this
// store write them. It must be called before anything else of the store is: the peer of
// a refused start must not have turned events on, so that Open does not do it.
func (s *Store) StartEvents(ctx context.Context) error {
	if !s.eventsSince.IsZero() {
		return nil
	}
	if err := startEvents(ctx, s.db); err != nil {
		return err
	}
	since, err := readEventsSince(ctx, s.db) // whoever wrote it
	if err == nil && since.IsZero() {
		err = fmt.Errorf("storing in the keyspace %s that it has events: it is not there after", s.db.Keyspace)
	}
	s.eventsSince = since
	return err
}

// readEventsSince returns what is stored, zero when nothing is.
func readEventsSince(ctx context.Context, db *scylla.DB) (since time.Time, err error) {
	if _, err := db.Read(ctx, gocql.Serial, scylla.Bind(selectEventsSince, ownerRow), &since); err != nil {
		return time.Time{}, fmt.Errorf("reading whether the keyspace %s has events: %w", db.Keyspace, err)
	}
	return since, nil
}

// startEvents stores that there are events from now on, if there are none. When it
// returns no error it may have been refused by the database even so: the caller reads
// what is stored now.
func startEvents(ctx context.Context, db *scylla.DB) error {
	applied, _, err := db.CAS(ctx, scylla.Bind(writeEventsSince, time.Now(), ownerRow))
	switch {
	case err == nil && applied:
		logger.Infof("the keyspace %s has events from now on: processes that write to it and have started before write none until they are restarted", db.Keyspace)
	case err != nil && (scylla.NotSent(err) || scylla.Rejected(err)):
		return fmt.Errorf("storing in the keyspace %s that it has events: %w", db.Keyspace, err)
	case err != nil:
		logger.Warnf("storing in the keyspace %s that it has events: looking whether it worked after: %s", db.Keyspace, err)
	}
	return nil
}
