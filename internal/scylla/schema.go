package scylla

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// historyTable remembers which schema files were applied. A row is written
// once, after its file.
const historyTable = `CREATE TABLE IF NOT EXISTS schema_history (
	version int PRIMARY KEY,
	name text,
	checksum text,
	min_binary int,
	applied timestamp,
	applied_by text
) WITH ${point}`

// historyPage is far more than there are files.
const historyPage = 1000

const (
	selectHistory = "SELECT version, name, checksum, min_binary FROM schema_history"
	insertHistory = "INSERT INTO schema_history (version, name, checksum, min_binary, applied, applied_by) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	selectTable   = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?"
	selectColumn  = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND column_name = ?"
)

// Migration is one schema file: NNNN_what.cql. Its statements end with a
// semicolon at the end of a line and can be run twice:
//   - CREATE TABLE IF NOT EXISTS t …
//   - ALTER TABLE t ADD column type, or ADD (column type, …), and
//     ALTER TABLE t DROP (column, …): one that was run is passed over, which
//     its first column tells (ScyllaDB knows no ADD IF NOT EXISTS)
//   - ALTER TABLE t WITH options
//
// A line "-- min_binary: N" says that binaries whose newest file is older than N
// must not run on this schema. A file that drops columns needs its own number
// there.
type Migration struct {
	Version    int
	Name       string
	Checksum   string
	MinBinary  int
	Statements []string
}

var (
	fileName    = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.cql$`)
	minBinary   = regexp.MustCompile(`(?m)^-- min_binary: (\d+)$`)
	createTable = regexp.MustCompile(`^CREATE TABLE IF NOT EXISTS (\w+)`)
	addColumn   = regexp.MustCompile(`^ALTER TABLE (\w+) ADD (\w+) [\w<>]+$`)
	addColumns  = regexp.MustCompile(`^ALTER TABLE (\w+) ADD \((\w+) [\w<>, ]+\)$`)
	dropColumns = regexp.MustCompile(`^ALTER TABLE (\w+) DROP \((\w+)[\w, ]*\)$`)
	setOptions  = regexp.MustCompile(`^ALTER TABLE \w+ WITH `)
	tableName   = regexp.MustCompile(`^(CREATE TABLE IF NOT EXISTS |ALTER TABLE )(\w+)`)
)

// ReadMigrations reads the schema files of fsys in order. Versions count up
// from 1 without a gap.
func ReadMigrations(fsys fs.FS) ([]Migration, error) {
	names, err := fs.Glob(fsys, "*.cql")
	if err != nil {
		return nil, fmt.Errorf("listing the schema files: %w", err)
	}
	sort.Strings(names)
	var out []Migration
	for i, name := range names {
		m := fileName.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("schema file %s: the name must look like 0001_what.cql", name)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("schema file %s: %w", name, err)
		}
		version, err := strconv.Atoi(m[1])
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("schema file %s: expected version %d here", name, i+1)
		}
		sum := sha256.Sum256(text)
		mig := Migration{Version: version, Name: name, Checksum: hex.EncodeToString(sum[:]), MinBinary: 1, Statements: statements(string(text))}
		if b := minBinary.FindStringSubmatch(string(text)); b != nil {
			if mig.MinBinary, err = strconv.Atoi(b[1]); err != nil {
				return nil, fmt.Errorf("schema file %s: min_binary: %w", name, err)
			}
		}
		if mig.MinBinary > version {
			return nil, fmt.Errorf("schema file %s: min_binary %d refuses every binary that has the file: it must be %d or less", name, mig.MinBinary, version)
		}
		for _, s := range mig.Statements {
			if err := mig.check(s); err != nil {
				return nil, fmt.Errorf("schema file %s: %q %w", name, firstLine(s), err)
			}
		}
		out = append(out, mig)
	}
	return out, nil
}

// check returns an error for a statement that cannot be run twice, or breaks
// binaries that the file does not refuse.
func (m Migration) check(statement string) error {
	switch {
	case dropColumns.MatchString(statement) && m.MinBinary < m.Version:
		return fmt.Errorf("breaks binaries that know the columns: the file needs the line -- min_binary: %d", m.Version)
	case createTable.MatchString(statement), addColumn.MatchString(statement), addColumns.MatchString(statement),
		dropColumns.MatchString(statement), setOptions.MatchString(statement):
		return nil
	default:
		return errors.New("is not a statement that can be run twice: CREATE TABLE IF NOT EXISTS, ALTER TABLE … ADD column type, ADD (…), DROP (…) or WITH")
	}
}

// statements drops the comments and splits at semicolons that end a line.
func statements(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, strings.TrimRight(line, " \t"))
		}
	}
	var out []string
	for _, s := range strings.Split(strings.Join(lines, "\n")+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

type applied struct {
	name, checksum string
	minBinary      int
}

// CheckSchema compares what was applied with the files of this binary. It
// returns the files that are missing. It is an error when a file was changed
// after it was applied, when the schema is so new that it refuses this binary, and
// when the keyspace is that of another program.
func (db *DB) CheckSchema(ctx context.Context, files []Migration) ([]Migration, error) {
	done, err := db.history(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if a, ok := done[f.Version]; ok && a.name != f.Name {
			return nil, &PermanentError{Text: fmt.Sprintf("the keyspace %s has the tables of another program: schema file %s was applied to it, where this one has %s; use another keyspace", db.Keyspace, a.name, f.Name)}
		}
	}
	for version, a := range done {
		if a.minBinary > len(files) {
			return nil, &PermanentError{Text: fmt.Sprintf("the keyspace %s has schema version %d (%s), which needs a binary with schema version %d or newer; this one has %d: upgrade it", db.Keyspace, version, a.name, a.minBinary, len(files))}
		}
	}
	var missing []Migration
	for _, f := range files {
		a, ok := done[f.Version]
		switch {
		case !ok:
			missing = append(missing, f)
		case a.checksum != f.Checksum:
			return nil, &PermanentError{Text: fmt.Sprintf("schema file %s differs from the one that was applied to the keyspace %s: this binary was built from changed files, use an official one", f.Name, db.Keyspace)}
		}
	}
	return missing, nil
}

// history reads the applied files; a keyspace without the table has none.
func (db *DB) history(ctx context.Context) (map[int]applied, error) {
	if there, err := db.HasTable(ctx, "schema_history"); err != nil || !there {
		return nil, err
	}
	out := make(map[int]applied)
	rows := db.Rows(ctx, gocql.Quorum, historyPage, Bind(selectHistory))
	var version int
	var a applied
	for rows.Next(&version, &a.name, &a.checksum, &a.minBinary) {
		out[version] = a
	}
	if err := rows.Close(); err != nil {
		if InTheMaking(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the schema history: %w", err)
	}
	return out, nil
}

// InTheMaking reports whether err, of reading a table that HasTable has found,
// means that another process is making it right now: Cassandra lists a table
// before it can be read. Nobody has written to it then.
func InTheMaking(err error) bool {
	code, ok := Code(err)
	return ok && code == gocql.ErrCodeInvalid
}

// HasTable reports whether the keyspace has a table of that name. See
// InTheMaking.
func (db *DB) HasTable(ctx context.Context, table string) (bool, error) {
	var name string
	found, err := db.Read(ctx, gocql.One, Bind(selectTable, db.Keyspace, table), &name)
	if err != nil {
		return false, fmt.Errorf("looking for the table %s: %w", table, err)
	}
	return found, nil
}

// ApplySchema brings the keyspace up to the given files. Several processes may
// call it at once: a lease lets one work while the others wait, fixed table
// identifiers make a table that is created twice one table, and each file can
// be run again by whoever follows a process that died.
//
// first are conditional updates that change nothing, one of each table that has
// some: with tablets ScyllaDB makes another table for the first of them
// (<table>$paxos), which takes longer than an update may.
func (db *DB) ApplySchema(ctx context.Context, files []Migration, first ...Statement) error {
	missing, err := db.CheckSchema(ctx, files)
	if err != nil || len(missing) == 0 {
		return err
	}
	c, err := db.conf.survey(ctx, ddlTimeout)
	if err != nil {
		return fmt.Errorf("connecting to change the schema: %w", err)
	}
	defer c.close()
	for _, table := range []string{leasesTable, historyTable} {
		if err := db.ddl(ctx, c, table); err != nil {
			return err
		}
	}
	return db.applyUnderLease(ctx, c, files, first)
}

// applyUnderLease applies the files that are missing once nobody else does. It
// ends when the lease is lost.
func (db *DB) applyUnderLease(ctx context.Context, c *contact, files []Migration, first []Statement) error {
	lease, err := db.AcquireLease(ctx, "schema")
	if err != nil {
		return err
	}
	defer lease.Release(context.WithoutCancel(ctx))
	held, stop := lease.Keep(ctx) // a statement may take longer than the lease lasts
	defer stop()
	err = db.applyMissing(held, c, lease.holder, files, first)
	if err != nil && held.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("changing the schema: %w (%w)", context.Cause(held), err)
	}
	return err
}

func (db *DB) applyMissing(ctx context.Context, c *contact, holder string, files []Migration, first []Statement) error {
	missing, err := db.CheckSchema(ctx, files)
	if err != nil {
		return err
	}
	for i, f := range missing {
		for _, s := range f.Statements {
			if err := db.ddl(ctx, c, s); err != nil {
				return fmt.Errorf("schema file %s: %w", f.Name, err)
			}
		}
		if i == len(missing)-1 { // whoever follows a process that dies here does it again
			if err := db.warm(ctx, first); err != nil {
				return err
			}
		}
		if err := db.record(ctx, f, holder); err != nil {
			return fmt.Errorf("recording schema file %s: %w", f.Name, err)
		}
		logger.Infof("applied schema file %s to the keyspace %s", f.Name, db.Keyspace)
	}
	return nil
}

// record notes that a file was applied. It is no error when it was noted
// before, by a try whose answer was lost.
func (db *DB) record(ctx context.Context, f Migration, by string) error {
	return db.untilKnown(ctx, Bind(insertHistory, f.Version, f.Name, f.Checksum, f.MinBinary, time.Now(), by))
}

// warm makes conditional updates that change nothing. One that does not work in
// time will be made by whoever needs its table first: that is not a failure.
func (db *DB) warm(ctx context.Context, first []Statement) error {
	for _, s := range first {
		within, cancel := context.WithTimeout(ctx, ddlTimeout)
		err := db.untilKnown(within, s)
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil || Permanent(err):
			return fmt.Errorf("making the first conditional update of a table: %w", err)
		default:
			logger.Warnf("the first conditional update of a table did not work within %s; the next one may be slow: %s", ddlTimeout, err)
		}
	}
	return nil
}

// untilKnown makes a conditional update that may be made any number of times,
// until its outcome is known.
func (db *DB) untilKnown(ctx context.Context, s Statement) error {
	ctx = WithTrail(ctx)
	for {
		_, _, err := db.CAS(ctx, s)
		if err == nil || Permanent(err) || NotSent(err) {
			return err
		}
		logger.Infof("trying again: %s", err)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(leastPause):
		}
	}
}

// ddl runs one schema statement and waits until every node knows the result.
func (db *DB) ddl(ctx context.Context, c *contact, statement string) error {
	done, err := c.columnsDone(ctx, statement)
	if err == nil && done {
		err = c.agree(ctx)
	}
	if err != nil || done {
		return err
	}
	text := db.Dialect.Options(statement)
	if m := createTable.FindStringSubmatch(statement); m != nil {
		text += db.Dialect.TableID(db.Keyspace, m[1])
	}
	text = tableName.ReplaceAllString(text, "${1}"+db.Keyspace+".${2}")
	err = c.change(ctx, text)
	if err != nil {
		// The driver sends what fails again, and is told that the column exists.
		if done, lookErr := c.columnsDone(ctx, statement); lookErr == nil && done {
			err = c.agree(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("running %q: %w", firstLine(statement), explainRights(err, db.conf.Username, Grants(db.Keyspace, db.conf.Username, true)...))
	}
	return nil
}

// columnsDone reports whether the statement adds columns that are there, or
// drops some that are not, as the node sees it that is to run it: one that was
// away may not have learnt of a table yet.
func (c *contact) columnsDone(ctx context.Context, statement string) (bool, error) {
	for _, form := range []struct {
		*regexp.Regexp
		there bool // once it was run
	}{{addColumn, true}, {addColumns, true}, {dropColumns, false}} {
		m := form.FindStringSubmatch(statement)
		if m == nil {
			continue
		}
		var column string
		var found bool
		err := c.within(ctx, questionTimeout, func() error {
			iter := c.exec.Iter(selectColumn, c.conf.Keyspace, m[1], m[2])
			found = iter.Scan(&column)
			return iter.Close()
		})
		if err != nil {
			return false, fmt.Errorf("looking for the column %s of %s: %w", m[2], m[1], err)
		}
		return found == form.there, nil
	}
	return false, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
