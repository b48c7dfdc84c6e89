package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// Adopt makes the keyspace that of conf, for a cluster whose secret, name or
// unpin_grace was changed. It calls confirm with what the keyspace has and gets; the
// name of the present owner is empty when there is none. It changes nothing when the
// answer is an error, which it returns; a keyspace that has all of it already is left
// alone without a question. It creates nothing, and refuses a keyspace whose peers
// still run: they would not notice before their next start.
func Adopt(ctx context.Context, conf *Config, confirm func(present, wanted Owner) error) error {
	if err := conf.validateComplete(); err != nil {
		return err
	}
	db, err := scylla.Open(ctx, conf.session(false), func(ctx context.Context, db *scylla.DB) error {
		err := prepareSchema(ctx, db, SchemaVerify, schema.Files)
		if scylla.Permanent(err) {
			err = fmt.Errorf("%w; with the name and the secret that the cluster had: an upgrade comes first, and what was changed after it", err)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer db.Close()
	wanted := conf.owner()
	present, err := readOwner(ctx, db)
	if err != nil {
		return err
	}
	stored, err := readGrace(ctx, db)
	if err != nil {
		return err
	}
	if stored != nil {
		present.UnpinGrace = *stored
	}
	if present.Same(wanted) && present.UnpinGrace == wanted.UnpinGrace {
		return nil
	}
	if err := refuseBusy(ctx, db); err != nil {
		return err
	}
	if err := confirm(present, wanted); err != nil {
		return err
	}
	return wanted.takeOver(ctx, db, present, stored)
}

// takeOver makes the keyspace that of o, which was that of present a moment ago, with the
// given unpin_grace, nil for none. Somebody else may be faster.
func (o Owner) takeOver(ctx context.Context, db *scylla.DB, present Owner, stored *time.Duration) error {
	if !present.Same(o) {
		if err := o.replace(ctx, db, present); err != nil {
			return err
		}
		if err := claimKeyspace(ctx, db, o); err != nil {
			return err
		}
	}
	if present.UnpinGrace == o.UnpinGrace {
		return nil
	}
	if err := replaceGrace(ctx, db, o.UnpinGrace, stored); err != nil {
		return err
	}
	grace, err := readGrace(ctx, db)
	switch {
	case err != nil:
		return err
	case grace == nil:
		return fmt.Errorf("unpin_grace of the keyspace %s is not to be seen after it was stored: repeat this", db.Keyspace)
	case *grace != o.UnpinGrace:
		return fmt.Errorf("unpin_grace of the keyspace %s is %s: another process has stored that meanwhile", db.Keyspace, *grace)
	}
	return nil
}
