package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// The marker of an unpin lasts for unpin_grace, and a write may rest for half of
// unpin_grace on a row that it has read. So it has to be the same in every process
// that writes: where the marker of one ran out while another still rested on the
// row before it, the pin would come back. It is stored in the keyspace, and the
// configuration counts for a keyspace that has none yet.

// settleGrace returns unpin_grace of the keyspace, which is that of the
// configuration from now on if there was none.
func settleGrace(ctx context.Context, db *scylla.DB, configured time.Duration) (time.Duration, error) {
	// A time to live has whole seconds.
	configured = configured.Truncate(time.Second)
	for range 3 { // the second time it is there, whoever wrote it
		stored, err := readGrace(ctx, db)
		if err != nil {
			return 0, err
		}
		if stored == nil {
			if err := replaceGrace(ctx, db, configured, nil); err != nil {
				return 0, err
			}
			continue
		}
		grace := *stored
		if grace < minUnpinGrace || grace > maxTTL {
			return 0, &scylla.PermanentError{Text: fmt.Sprintf(
				"unpin_grace of the keyspace %s is %s, and cannot be used: it must be %s to %s; stop all peers and run \"ipfs-cluster-service state adopt\", which stores that of the configuration",
				db.Keyspace, grace, minUnpinGrace, maxTTL)}
		}
		if grace != configured {
			logger.Warnf("state.scylla.unpin_grace is %s here and %s in the keyspace %s: that of the keyspace counts; "+
				"correct it here, or stop all peers and run \"ipfs-cluster-service state adopt\" to store it there", configured, grace, db.Keyspace)
		}
		return grace, nil
	}
	return 0, fmt.Errorf("storing unpin_grace in the keyspace %s: none is to be seen", db.Keyspace)
}

// readGrace returns what is stored, nil when nothing is. Somebody may have stored 0 by hand.
func readGrace(ctx context.Context, db *scylla.DB) (*time.Duration, error) {
	var seconds *int
	if _, err := db.Read(ctx, gocql.Serial, scylla.Bind(selectGrace, ownerRow), &seconds); err != nil {
		return nil, fmt.Errorf("reading unpin_grace of the keyspace %s: %w", db.Keyspace, err)
	}
	if seconds == nil {
		return nil, nil
	}
	grace := time.Duration(*seconds) * time.Second
	return &grace, nil
}

// replaceGrace stores grace if old is what is stored. Only an error says what
// became of it: the caller reads what is stored now.
func replaceGrace(ctx context.Context, db *scylla.DB, grace time.Duration, old *time.Duration) error {
	var assert any // null: there is none
	if old != nil {
		assert = int(*old / time.Second)
	}
	applied, _, err := db.CAS(ctx, scylla.Bind(writeGrace, int(grace/time.Second), ownerRow, assert))
	switch {
	case err == nil && applied:
		logger.Infof("unpin_grace of the keyspace %s is %s from now on", db.Keyspace, grace)
	case err != nil && (scylla.NotSent(err) || scylla.Rejected(err)):
		return fmt.Errorf("storing unpin_grace in the keyspace %s: %w", db.Keyspace, err)
	case err != nil:
		logger.Warnf("storing unpin_grace in the keyspace %s: looking whether it worked after: %s", db.Keyspace, err)
	}
	return nil
}
