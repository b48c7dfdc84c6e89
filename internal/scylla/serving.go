package scylla

import (
	"context"
	"fmt"
	"time"
)

// Serving returns nil while the database serves requests, also if it serves only some, as when
// the replicas of one piece of the ring are down, and else since when it does not. It asks
// nobody: it goes by the requests that are made anyway. The metric cql_client_serving is
// stricter.
func (db *DB) Serving() error { return db.outage.err(time.Now()) }

func (o *outage) err(now time.Time) error {
	if !o.on.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.served.IsZero() && now.Sub(o.served) < outageOver {
		return nil
	}
	return fmt.Errorf("the database does not serve requests: %d failed in %s, the last one %s ago",
		o.failed, o.last.Sub(o.since).Round(time.Second), now.Sub(o.last).Round(time.Second))
}

// Check returns nil if the database serves requests. It asks only where it did not: a process
// that asks for nothing would not learn that it serves again.
func (db *DB) Check(ctx context.Context) error {
	if db.Serving() == nil {
		return nil
	}
	if _, err := db.HasTable(ctx, "schema_history"); err != nil {
		return err
	}
	return db.Serving()
}
