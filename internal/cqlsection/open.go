package cqlsection

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// slowQuery is from when on a request to the database is written to the log as slow.
const slowQuery = time.Second

// Program says whose keyspace it is.
type Program struct {
	// Name is what errors call the program, as "gateway".
	Name string
	// Files are the files of its schema, see scylla.ReadMigrations.
	Files fs.FS
	// First are conditional updates that change nothing, one of each table that has some: the
	// first of a table may take long, see scylla.DB.ApplySchema.
	First []scylla.Statement
}

// Open connects to the database, waiting for it as conf.ConnectTimeout says, and makes or
// checks the tables. A *scylla.PermanentError in its error says that waiting does not help.
// The caller closes the DB.
func (p Program) Open(ctx context.Context, conf Config, metrics *scylla.Metrics) (*scylla.DB, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	session, err := conf.session()
	if err != nil {
		return nil, err
	}
	session.Metrics, session.SlowQuery = metrics, slowQuery
	files, err := scylla.ReadMigrations(p.Files)
	if err != nil {
		return nil, err
	}
	return scylla.Open(ctx, session, func(ctx context.Context, db *scylla.DB) error {
		if err := p.refusePinset(ctx, db); err != nil {
			return err
		}
		return p.prepare(ctx, db, conf.Schema, files)
	})
}

// refusePinset returns an error for the keyspace of an ipfs-cluster.
func (p Program) refusePinset(ctx context.Context, db *scylla.DB) error {
	var column string
	found, err := db.Read(ctx, gocql.One, scylla.Bind(selectPinset, db.Keyspace), &column)
	switch {
	case err != nil:
		return fmt.Errorf("looking whose the keyspace %s is: %w", db.Keyspace, err)
	case found:
		return &scylla.PermanentError{Text: fmt.Sprintf("the keyspace %s holds the pinset of an ipfs-cluster: the %s needs one of its own, set %s.keyspace",
			db.Keyspace, p.Name, section)}
	}
	return nil
}

// prepare makes what is missing, or checks that nothing is.
func (p Program) prepare(ctx context.Context, db *scylla.DB, mode string, files []scylla.Migration) error {
	if mode == SchemaApply {
		return db.ApplySchema(ctx, files, p.First...)
	}
	missing, err := db.CheckSchema(ctx, files)
	if err == nil && len(missing) > 0 {
		err = &scylla.PermanentError{Text: fmt.Sprintf(
			"the keyspace %s lacks schema file %s, which may not be applied here: start one %s of this version with schema: apply",
			db.Keyspace, missing[0].Name, p.Name)}
	}
	return err
}
