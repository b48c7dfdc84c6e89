package scyllastate

import (
	"context"
	"fmt"

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
		return prepareSchema(ctx, db, SchemaVerify, schema.Files)
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
	if present.UnpinGrace, err = readGrace(ctx, db); err != nil {
		return err
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
	return wanted.takeOver(ctx, db, present)
}

// takeOver makes the keyspace that of o, which was that of present a moment ago.
// Somebody else may be faster.
func (o Owner) takeOver(ctx context.Context, db *scylla.DB, present Owner) error {
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
	if err := replaceGrace(ctx, db, o.UnpinGrace, present.UnpinGrace); err != nil {
		return err
	}
	grace, err := readGrace(ctx, db)
	if err == nil && grace != o.UnpinGrace {
		err = fmt.Errorf("unpin_grace of the keyspace %s is %s: another process has stored that meanwhile", db.Keyspace, grace)
	}
	return err
}
