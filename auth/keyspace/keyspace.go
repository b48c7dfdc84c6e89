// Package keyspace opens the gateway's own keyspace: it has the configuration of the
// connection and the files of the schema, and makes or checks the tables. The rooms that own
// tables have their statements.
//
// Promised: a DB that Open returns has all tables of this version. A keyspace that belongs to
// an ipfs-cluster is refused before anything in it was changed: both have a table pins.
package keyspace

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// slowQuery is from when on a request to the database is written to the log as slow.
const slowQuery = time.Second

// Open connects to the database, waiting for it as conf.ConnectTimeout says, and makes or
// checks the tables. A *scylla.PermanentError in its error says that waiting does not help.
// The caller closes the DB.
func Open(ctx context.Context, conf Config, metrics *scylla.Metrics) (*scylla.DB, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	session, err := conf.session()
	if err != nil {
		return nil, err
	}
	session.Metrics, session.SlowQuery = metrics, slowQuery
	files, err := scylla.ReadMigrations(schema.Files)
	if err != nil {
		return nil, err
	}
	return scylla.Open(ctx, session, func(ctx context.Context, db *scylla.DB) error {
		if err := refusePinset(ctx, db); err != nil {
			return err
		}
		return prepare(ctx, db, conf.Schema, files)
	})
}

// refusePinset returns an error for the keyspace of an ipfs-cluster.
func refusePinset(ctx context.Context, db *scylla.DB) error {
	var column string
	found, err := db.Read(ctx, gocql.One, scylla.Bind(selectPinset, db.Keyspace), &column)
	switch {
	case err != nil:
		return fmt.Errorf("looking whose the keyspace %s is: %w", db.Keyspace, err)
	case found:
		return &scylla.PermanentError{Text: fmt.Sprintf("the keyspace %s holds the pinset of an ipfs-cluster: the gateway needs one of its own, set database.keyspace", db.Keyspace)}
	}
	return nil
}

// prepare makes what is missing, or checks that nothing is.
func prepare(ctx context.Context, db *scylla.DB, mode string, files []scylla.Migration) error {
	if mode == SchemaApply {
		return db.ApplySchema(ctx, files, firstUpdates()...)
	}
	missing, err := db.CheckSchema(ctx, files)
	if err == nil && len(missing) > 0 {
		err = &scylla.PermanentError{Text: fmt.Sprintf(
			"the keyspace %s lacks schema file %s, which may not be applied here: start one gateway of this version with schema: apply",
			db.Keyspace, missing[0].Name)}
	}
	return err
}
