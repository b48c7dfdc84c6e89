package scyllastate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ownerRow is the key of the one row of the table cluster.
const ownerRow = "owner"

// Owner is the cluster that a keyspace belongs to.
type Owner struct {
	// Name is the cluster_name of its peers. It is empty for a keyspace that
	// no cluster has claimed.
	Name string
	// Claimed is when the keyspace became theirs, and ClaimedBy the process
	// that did it.
	Claimed   time.Time
	ClaimedBy string
	// UnpinGrace is how long markers of an unpin stay, in whole seconds. It is 0
	// where it is not stored, and not part of who the owner is.
	UnpinGrace time.Duration

	fingerprint string
}

// owner is the cluster that conf is for.
func (cfg *Config) owner() Owner {
	mac := hmac.New(sha256.New, cfg.Secret)
	_, _ = mac.Write([]byte("owner of an ipfs-cluster-scylla keyspace")) // documented to never fail
	return Owner{Name: cfg.ClusterName, UnpinGrace: cfg.UnpinGrace.Truncate(time.Second), fingerprint: hex.EncodeToString(mac.Sum(nil))}
}

// Same reports whether o and other are one cluster.
func (o Owner) Same(other Owner) bool {
	return o.Name == other.Name && o.fingerprint == other.fingerprint
}

// checkOwner refuses the keyspace of another cluster than wanted, and reports
// whether the keyspace has an owner. Two clusters that share a keyspace would
// take each other's pins for their own, and allocate them to peers that the
// other cannot reach.
func checkOwner(ctx context.Context, db *scylla.DB, wanted Owner) (claimed bool, err error) {
	found, err := readOwner(ctx, db)
	switch {
	case err != nil:
		return false, err
	case found.Name == "":
		return false, nil
	case found.Same(wanted):
		return true, nil
	case found.Name != wanted.Name:
		return true, &scylla.PermanentError{Text: fmt.Sprintf(
			"the keyspace %s belongs to the cluster %q (since %s, by %s), this peer is of the cluster %q: correct state.scylla.keyspace or state.scylla.cluster_name",
			db.Keyspace, found.Name, found.Claimed.UTC().Format(time.RFC3339), found.ClaimedBy, wanted.Name)}
	default:
		return true, &scylla.PermanentError{Text: fmt.Sprintf(
			"the keyspace %s belongs to a cluster %q with another secret (since %s, by %s): correct cluster.secret, or name another keyspace in state.scylla.keyspace; "+
				"if the secret of the cluster was changed, stop all its peers and run \"ipfs-cluster-service state adopt\"",
			db.Keyspace, found.Name, found.Claimed.UTC().Format(time.RFC3339), found.ClaimedBy)}
	}
}

// claimKeyspace makes wanted the owner of a keyspace that has none.
func claimKeyspace(ctx context.Context, db *scylla.DB, wanted Owner) error {
	for range 3 { // the second time the row is there, whoever wrote it
		claimed, err := checkOwner(ctx, db, wanted)
		if err != nil || claimed {
			return err
		}
		if err := wanted.replace(ctx, db, Owner{}); err != nil {
			return err
		}
	}
	return fmt.Errorf("claiming the keyspace %s: no claim is to be seen", db.Keyspace)
}

// quiet is how long the cursor of a peer stands before the peer counts as
// stopped: a running one moves it every ten seconds, and keeps it behind the
// time in which changes can still appear.
const quiet = time.Minute

// cursorsPage is the number of rows that one request returns.
const cursorsPage = 100

// refuseBusy returns an error when a peer runs, by its heartbeat or because it
// reads its changes.
func refuseBusy(ctx context.Context, db *scylla.DB) error {
	busy, err := beating(ctx, db)
	if busy == "" && err == nil {
		busy, err = reading(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("looking for running peers: %w", err)
	}
	if busy != "" {
		return fmt.Errorf("the peer %s uses the keyspace %s: stop all its peers, and wait two monitor_ping_interval, at least a minute", busy, db.Keyspace)
	}
	return nil
}

// beating returns a peer whose heartbeat has not run out.
func beating(ctx context.Context, db *scylla.DB) (busy string, err error) {
	return anyBusy(ctx, func(ctx context.Context, shard int) (busy string, err error) {
		rows := db.Rows(ctx, gocql.Quorum, beatsPage, scylla.Bind(selectBeats, shard))
		for busy == "" {
			var cells beatCells
			if !rows.Next(cells.columns()...) {
				break
			}
			if cells.there() {
				busy = cells.peer
			}
		}
		return busy, rows.Close()
	})
}

// anyBusy reads all shards of beats at the same time, and ends with the first
// peer that is found. That a shard cannot be read matters only when none is.
func anyBusy(ctx context.Context, read func(ctx context.Context, shard int) (busy string, err error)) (string, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		busy string
		err  error
	}
	results := make(chan result, beatShards)
	for shard := range beatShards {
		wg.Go(func() {
			busy, err := read(ctx, shard)
			results <- result{busy, err}
		})
	}
	var failed error
	for range beatShards {
		switch r := <-results; {
		case r.busy != "":
			return r.busy, nil
		case failed == nil:
			failed = r.err
		}
	}
	return "", failed
}

// reading returns a peer that has just read its changes.
func reading(ctx context.Context, db *scylla.DB) (busy string, err error) {
	rows := db.Rows(ctx, gocql.Quorum, cursorsPage, scylla.Bind(selectCursors))
	var feed, consumer string
	var position time.Time
	var holder *gocql.UUID
	for rows.Next(&feed, &consumer, &position, &holder) {
		// Else it is no peer's own, or that of a peer that has not started.
		if feed == consumer && holder != nil && time.Since(position) < quiet {
			busy = feed
		}
		holder = nil
	}
	return busy, rows.Close()
}

// readOwner returns the owner of the keyspace, without a name when there is
// none.
func readOwner(ctx context.Context, db *scylla.DB) (Owner, error) {
	var o Owner
	if there, err := db.HasTable(ctx, "cluster"); err != nil || !there {
		return o, err
	}
	_, err := db.Read(ctx, gocql.Serial, scylla.Bind(selectOwner, ownerRow), &o.Name, &o.fingerprint, &o.Claimed, &o.ClaimedBy)
	if err != nil && !scylla.InTheMaking(err) {
		return Owner{}, fmt.Errorf("reading the owner of the keyspace %s: %w", db.Keyspace, err)
	}
	return o, nil
}

// replace makes o the owner if it is still old. Only an error says what became
// of it: the caller reads who the owner is now.
func (o Owner) replace(ctx context.Context, db *scylla.DB, old Owner) error {
	var oldName, oldFingerprint any // null: there is no row
	if old.Name != "" {
		oldName, oldFingerprint = old.Name, old.fingerprint
	}
	applied, _, err := db.CAS(ctx, scylla.Bind(writeOwner, o.Name, o.fingerprint, time.Now(), scylla.Process(), ownerRow, oldFingerprint, oldName))
	switch {
	case err == nil && applied:
		logger.Infof("the keyspace %s belongs to the cluster %q from now on", db.Keyspace, o.Name)
	case err != nil && (scylla.NotSent(err) || scylla.Rejected(err)):
		return fmt.Errorf("claiming the keyspace %s: %w", db.Keyspace, err)
	case err != nil:
		logger.Warnf("claiming the keyspace %s: looking whether it worked after: %s", db.Keyspace, err)
	}
	return nil
}
