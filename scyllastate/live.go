package scyllastate

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// pinset is the key of the one partition of the table migrations.
const pinset = "pinset"

// liveMark is the mark in the database that the pinset is in use. It is set
// before the first conditional write of a process and before a peer comes to
// life; a migration that writes without conditions stops when it sees it.
type liveMark struct {
	db  *scylla.DB
	set atomic.Bool
	mu  sync.Mutex // one sets it, the others wait
}

// mark sets the mark if it is not set. After the first time it does nothing.
func (l *liveMark) mark(ctx context.Context) error {
	if l.set.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set.Load() {
		return nil
	}
	live, _, err := readLive(ctx, l.db)
	if err == nil && !live.Yes() {
		err = writeLive(ctx, l.db)
	}
	if err != nil {
		return fmt.Errorf("marking the pinset as in use: %w", err)
	}
	l.set.Store(true)
	return nil
}

// readLive returns the mark, and who migrates.
func readLive(ctx context.Context, db *scylla.DB) (state.Live, holder, error) {
	var live state.Live
	var now gocql.UUID // stays as it is for null
	if _, err := db.Read(ctx, gocql.Serial, scylla.Bind(selectLive, pinset), &live.Since, &live.By, &now); err != nil {
		return state.Live{}, holder{}, fmt.Errorf("reading whether the pinset is in use: %w", err)
	}
	return live, holder(now), nil
}

// writeLive sets the mark. It is no error when somebody else was faster.
func writeLive(ctx context.Context, db *scylla.DB) error {
	applied, _, err := db.CAS(ctx, scylla.Bind(setLive, time.Now(), scylla.Process(), pinset))
	if err == nil && applied {
		logger.Infof("the pinset in the keyspace %s is in use from now on", db.Keyspace)
	}
	return err
}

// holder names a process that migrates. The zero holder is nobody, null in the
// database.
type holder gocql.UUID

// value is h as an argument of a statement.
func (h holder) value() any {
	if h == (holder{}) {
		return nil
	}
	return gocql.UUID(h)
}

func (h holder) String() string {
	if h == (holder{}) {
		return ""
	}
	return gocql.UUID(h).String()
}

func parseHolder(text string) (holder, error) {
	if text == "" {
		return holder{}, nil
	}
	id, err := gocql.ParseUUID(text)
	if err != nil {
		return holder{}, fmt.Errorf("%q is nobody who migrates: %w", text, err)
	}
	return holder(id), nil
}
