package accounts

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Store has the rows. It is an apikey.Store, a denylist.Store, an authn.Directory and a
// did.Replays. Safe for concurrent use.
type Store struct {
	db *scylla.DB
	// cas and write are those of db; tests lose their answers.
	cas   func(context.Context, scylla.Statement) (bool, map[string]any, error)
	write func(context.Context, scylla.Statement) error
}

// NewStore returns a store in the keyspace that package keyspace has opened.
func NewStore(ctx context.Context, db *scylla.DB) *Store {
	db.Prepare(ctx, hotStatements())
	return &Store{db: db, cas: db.CAS, write: db.Write}
}

const (
	// settleTries is how often a conditional update is sent whose outcome is not known.
	settleTries = 6
	// settlePause is the longest pause after the first of them; it doubles each time. Those
	// who disturb each other must not go on in step.
	settlePause = 20 * time.Millisecond
	// changeTries is how often a row is read and changed that others change too.
	changeTries = 10
)

// settle makes a conditional update that writes mark into a column, and sends it again until
// its outcome is known: nobody else writes the mark, so that one finds what it has written
// by a try whose answer was lost. If it was not applied, now is what is in the column, zero
// if the row is not there. An error leaves the outcome open.
func (s *Store) settle(ctx context.Context, column string, mark gocql.UUID, statement scylla.Statement) (applied bool, now gocql.UUID, err error) {
	ctx = scylla.WithTrail(ctx)
	for pause := settlePause; ; pause *= 2 {
		var columns map[string]any
		applied, columns, err = s.cas(ctx, statement)
		now, _ = columns[column].(gocql.UUID)
		switch {
		case err == nil:
			return applied || now == mark, now, nil
		case scylla.NotSent(err) || scylla.Rejected(err) || scylla.Permanent(err) || pause >= settlePause<<(settleTries-1):
			s.db.NotServed(err)
			return false, gocql.UUID{}, err
		}
		select {
		case <-ctx.Done():
			s.db.NotServed(err)
			return false, gocql.UUID{}, errors.Join(context.Cause(ctx), err)
		case <-time.After(rand.N(pause)):
		}
	}
}

// mark returns a revision, or who somebody is: nobody else has it.
func mark() (gocql.UUID, error) {
	id, err := gocql.RandomUUID()
	if err != nil {
		return gocql.UUID{}, fmt.Errorf("drawing a revision: %w", err)
	}
	return id, nil
}

// moment is a time for a column, null if it is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// timeOf is the reverse of moment.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// texts is a list for a column: never null, by which a row is known that is not complete.
func texts(list []string) []string { return append([]string{}, list...) }

// ttl returns the time to live of what is needed until a moment, in seconds. It is a minute
// longer, as the clock of the database may be ahead, and at least that.
func ttl(until time.Time) int {
	return int(max(0, time.Until(until))/time.Second) + 61
}
