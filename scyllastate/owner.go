package scyllastate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
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

	fingerprint string
}

// owner is the cluster that conf is for.
func (cfg *Config) owner() Owner {
	mac := hmac.New(sha256.New, cfg.Secret)
	_, _ = mac.Write([]byte("owner of an ipfs-cluster-scylla keyspace")) // documented to never fail
	return Owner{Name: cfg.ClusterName, fingerprint: hex.EncodeToString(mac.Sum(nil))}
}

// same reports whether o and other are one cluster.
func (o Owner) same(other Owner) bool {
	return o.Name == other.Name && o.fingerprint == other.fingerprint
}

// checkOwner refuses the keyspace of another cluster, and claims one that has
// no owner. Two clusters that share a keyspace would take each other's pins for
// their own, and allocate them to peers that the other cannot reach.
func checkOwner(ctx context.Context, db *scylla.DB, conf *Config) error {
	wanted := conf.owner()
	for range 3 { // the second time the row is there, whoever wrote it
		found, err := readOwner(ctx, db)
		if err != nil {
			return err
		}
		switch {
		case found.same(wanted):
			return nil
		case found.Name == "":
			// Another process may be faster; the row then tells which.
			if err := wanted.replace(ctx, db, found); err != nil {
				return err
			}
		case found.Name != wanted.Name:
			return &scylla.PermanentError{Text: fmt.Sprintf(
				"the keyspace %s belongs to the cluster %q (since %s, by %s), this peer is of the cluster %q: correct state.scylla.keyspace or state.scylla.cluster_name",
				db.Keyspace, found.Name, found.Claimed.UTC().Format(time.RFC3339), found.ClaimedBy, wanted.Name)}
		default:
			return &scylla.PermanentError{Text: fmt.Sprintf(
				"the keyspace %s belongs to a cluster %q with another secret (since %s, by %s): correct cluster.secret, or name another keyspace in state.scylla.keyspace; "+
					"if the secret of the cluster was changed, stop all its peers and run \"ipfs-cluster-service state adopt\"",
				db.Keyspace, found.Name, found.Claimed.UTC().Format(time.RFC3339), found.ClaimedBy)}
		}
	}
	return fmt.Errorf("claiming the keyspace %s: no claim is to be seen", db.Keyspace)
}

// Adopt makes a keyspace that belongs to another cluster that of conf, for a
// cluster whose secret or name was changed. It calls confirm with the present
// owner and changes nothing when the answer is an error, which it returns. No
// peer of the other cluster must be running: they notice at their next start
// only.
func Adopt(ctx context.Context, conf *Config, confirm func(present Owner) error) error {
	if err := conf.ValidateAll(); err != nil {
		return err
	}
	db, err := scylla.Open(ctx, conf.session(), func(ctx context.Context, db *scylla.DB) error {
		return prepareSchema(ctx, db, conf.Schema, schema.Files)
	})
	if err != nil {
		return err
	}
	defer db.Close()
	present, err := readOwner(ctx, db)
	if err != nil {
		return err
	}
	if present.Name != "" && !present.same(conf.owner()) {
		if err := confirm(present); err != nil {
			return err
		}
		if err := conf.owner().replace(ctx, db, present); err != nil {
			return err
		}
	}
	return checkOwner(ctx, db, conf) // somebody else may have been faster
}

// readOwner returns the owner of the keyspace, without a name when there is
// none.
func readOwner(ctx context.Context, db *scylla.DB) (Owner, error) {
	ctx = scylla.WithTrail(ctx)
	var o Owner
	err := db.Query(selectOwner, ownerRow).WithContext(ctx).Consistency(gocql.Serial).Idempotent(true).
		Scan(&o.Name, &o.fingerprint, &o.Claimed, &o.ClaimedBy)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return Owner{}, fmt.Errorf("reading the owner of the keyspace %s: %w", db.Keyspace, scylla.Describe(ctx, err))
	}
	return o, nil
}

// replace makes o the owner if it is still old. The caller reads who it is now:
// neither a refusal nor a lost answer tells.
func (o Owner) replace(ctx context.Context, db *scylla.DB, old Owner) error {
	ctx = scylla.WithTrail(ctx)
	var oldName, oldFingerprint any // null: there is no row
	if old.Name != "" {
		oldName, oldFingerprint = old.Name, old.fingerprint
	}
	_, err := db.Query(writeOwner, o.Name, o.fingerprint, time.Now(), scylla.Process(), ownerRow, oldFingerprint, oldName).
		WithContext(ctx).RetryPolicy(scylla.NoRetry()).MapScanCAS(map[string]any{})
	if err != nil {
		return fmt.Errorf("claiming the keyspace %s: %w", db.Keyspace, scylla.Describe(ctx, err))
	}
	return nil
}
