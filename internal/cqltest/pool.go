package cqltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gocql/gocql"
)

// pool holds keyspaces that tests have left. To make one with all its tables
// takes a Cassandra two seconds of processor time, to empty it a small part of
// that.
type pool struct {
	mu    sync.Mutex
	made  []string // all of them, to be dropped at the end
	free  []string
	admin *gocql.Session // nil before the first use
}

// historyTable is that of internal/scylla that tells the version of the tables.
const historyTable = "schema_history"

// Emptied returns the name of a keyspace that no other running test has. Either
// there is no keyspace of that name yet, or an earlier test has left it, and all
// its rows are gone but those of schema_history, which tell the version of the
// tables. So it is not for tests that change tables or their options or
// want to see them made: they take Keyspace.
func (s *Server) Emptied(tb testing.TB) string {
	tb.Helper()
	if s.pool == nil { // a server of one test
		return s.Keyspace(tb)
	}
	name, err := s.pool.take(s)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if !tb.Failed() { // what it has left may be the reason, and hit others
			s.pool.put(name)
		}
	})
	return name
}

// take gives out a keyspace that was put back, emptied, or a new name.
func (p *pool) take(s *Server) (string, error) {
	name, used, err := p.choose(s)
	if err != nil || !used {
		return name, err
	}
	return name, empty(p.admin, name)
}

func (p *pool) choose(s *Server) (name string, used bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admin == nil {
		if p.admin, err = s.config().CreateSession(); err != nil {
			return "", false, fmt.Errorf("connect to empty keyspaces: %w", err)
		}
	}
	if last := len(p.free) - 1; last >= 0 {
		name, p.free = p.free[last], p.free[:last]
		return name, true, nil
	}
	name = newName()
	p.made = append(p.made, name)
	return name, false, nil
}

func (p *pool) put(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, name)
}

// drop drops all keyspaces. The pool can be used again.
func (p *pool) drop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admin == nil {
		return nil
	}
	defer func() {
		p.admin.Close()
		p.admin = nil
	}()
	var errs []error
	for _, name := range p.made {
		if err := p.admin.Query("DROP KEYSPACE IF EXISTS " + name).Exec(); err != nil {
			errs = append(errs, fmt.Errorf("drop keyspace %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// empty removes all rows but those that tell the version of the tables. What is
// not durable is not flushed before it is removed.
func empty(admin *gocql.Session, keyspace string) error {
	durable := false
	err := admin.Query("SELECT durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace).Scan(&durable)
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return fmt.Errorf("look for the keyspace %s: %w", keyspace, err)
	}
	if durable {
		if err := admin.Query("ALTER KEYSPACE " + keyspace + " WITH durable_writes = false").Exec(); err != nil {
			return fmt.Errorf("make the writes of the keyspace %s not durable: %w", keyspace, err)
		}
	}
	var names []string
	var name string
	tables := admin.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace).Iter()
	for tables.Scan(&name) {
		if name != historyTable && !IsPaxos(name) {
			names = append(names, name)
		}
	}
	if err := tables.Close(); err != nil {
		return fmt.Errorf("list the tables of the keyspace %s: %w", keyspace, err)
	}
	for _, name := range names {
		if err := admin.Query("TRUNCATE " + keyspace + "." + name).Exec(); err != nil {
			return fmt.Errorf("empty the table %s.%s: %w", keyspace, name, err)
		}
	}
	return nil
}
