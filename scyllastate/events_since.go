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

// settleEvents returns since when the keyspace has events, zero if it has none. It has
// from now on if this process wants them, and is not a tool that only looks.
func settleEvents(ctx context.Context, db *scylla.DB, wanted, tool bool) (time.Time, error) {
	for range 3 { // the second time it is there, whoever wrote it
		since, err := readEventsSince(ctx, db)
		switch {
		case err != nil:
			return time.Time{}, err
		case since.IsZero() && (!wanted || tool):
			return time.Time{}, nil
		case since.IsZero():
			if err := startEvents(ctx, db); err != nil {
				return time.Time{}, err
			}
			continue
		case !wanted:
			logger.Warnf("the keyspace %s has events since %s: this process writes theirs, although it is not configured to have any",
				db.Keyspace, since.UTC().Format(time.RFC3339))
		}
		return since, nil
	}
	return time.Time{}, fmt.Errorf("storing in the keyspace %s that it has events: it is not to be seen", db.Keyspace)
}

// readEventsSince returns what is stored, zero when nothing is.
func readEventsSince(ctx context.Context, db *scylla.DB) (since time.Time, err error) {
	if _, err := db.Read(ctx, gocql.Serial, scylla.Bind(selectEventsSince, ownerRow), &since); err != nil {
		return time.Time{}, fmt.Errorf("reading whether the keyspace %s has events: %w", db.Keyspace, err)
	}
	return since, nil
}

// startEvents stores that there are events from now on, if there are none. Only an error
// says what became of it: the caller reads what is stored now.
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
