package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var _ state.Migrator = (*Store)(nil)

// Migrations implements state.Migrator. A keyspace with peers is in use also
// when none of them has said so: those of older versions do not.
func (s *Store) Migrations(ctx context.Context) (state.Migrations, error) {
	live, holder, err := s.liveNow(ctx)
	if err != nil {
		return state.Migrations{}, err
	}
	found := state.Migrations{Live: live, Holder: holder.String()}
	rows := s.db.Rows(ctx, gocql.Serial, membersPage, scylla.Bind(selectMigrations, pinset))
	for {
		var m state.Migration
		if !rows.Next(&m.ID, &m.Run, &m.Phase, &m.Bulk, &m.Fingerprint, &m.Options, &m.Position,
			&m.Read, &m.Copied, &m.Kept, &m.Bad, &m.Removed, &m.Started, &m.Updated, &m.Report) {
			break
		}
		if m.ID != "" { // else the columns of the partition alone
			found.All = append(found.All, m)
		}
	}
	if err := rows.Close(); err != nil {
		return state.Migrations{}, fmt.Errorf("reading the migrations: %w", err)
	}
	return found, nil
}

// liveNow returns whether the pinset is in use, and who migrates.
func (s *Store) liveNow(ctx context.Context) (state.Live, holder, error) {
	live, now, err := readLive(ctx, s.db)
	if err != nil || live.Yes() {
		return live, now, err
	}
	for _, sign := range []struct {
		query, what string
		args        []any
	}{
		{selectAnyMember, "the peer", []any{peersPartition}},
		{selectAnyCursor, "the feed of", nil},
	} {
		var name string
		found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(sign.query, sign.args...), &name)
		if err != nil {
			return live, now, fmt.Errorf("looking for peers: %w", err)
		}
		if found {
			return state.Live{By: fmt.Sprintf("%s %s is there", sign.what, name)}, now, nil
		}
	}
	return live, now, nil
}

// CountMigrated implements state.Migrator.
func (s *Store) CountMigrated(ctx context.Context, id string, progress func(n int64)) (own, others int64, err error) {
	mark := markOf(id)
	var mu sync.Mutex
	err = s.scanAll(ctx, gocql.Quorum, func(_ context.Context, row scanned) error {
		mu.Lock()
		defer mu.Unlock()
		if _, ours := mark.run(row.rev); ours {
			own++
		} else {
			others++
		}
		if n := own + others; n%scanPage == 0 {
			progress(n)
		}
		return nil
	})
	if err != nil {
		return own, others, fmt.Errorf("counting the pins: %w", err)
	}
	return own, others, nil
}

// BeginMigration implements state.Migrator.
func (s *Store) BeginMigration(ctx context.Context, m state.Migration, holder string) (state.Importer, error) {
	i, err := s.beginMigration(ctx, m, holder)
	if err != nil {
		return nil, fmt.Errorf("beginning the migration from %s: %w", m.ID, err)
	}
	return i, nil
}

func (s *Store) beginMigration(ctx context.Context, m state.Migration, before string) (*importer, error) {
	if m.ID == "" {
		return nil, errors.New("it has no name")
	}
	if m.Run < 1 || m.Run > state.MaxMigrationRuns {
		return nil, fmt.Errorf("there is no run %d, only 1 to %d", m.Run, state.MaxMigrationRuns)
	}
	expected, err := parseHolder(before)
	if err != nil {
		return nil, err
	}
	if !m.Bulk {
		// Not for nothing: the mark ends all bulk migrations for good.
		if _, now, err := readLive(ctx, s.db); err != nil {
			return nil, err
		} else if now != expected {
			return nil, state.ErrMigrationTaken
		}
		if err := s.goLive(ctx); err != nil {
			return nil, err
		}
	}
	i := &importer{
		store: s, id: m.ID, run: m.Run, bulk: m.Bulk, mark: markOf(m.ID), queued: m.Started,
		holder: holder(gocql.MustRandomUUID()), names: make(map[peer.ID]string),
	}
	if !m.Bulk {
		i.queued = s.now() // peers have passed the time at which the run began
	}
	i.pace, i.atOnce = newPace(s.random, s.db.Shards, i.allowed), maxSideRows
	var last error
	for try := range maxConflicts {
		live, now, err := s.liveNow(ctx)
		switch {
		case err != nil:
			return nil, err
		case m.Bulk && live.Yes():
			return nil, liveError(live)
		case now == i.holder: // by a try whose answer was lost
			return i, nil
		case now != expected:
			return nil, state.ErrMigrationTaken
		}
		if !m.Bulk {
			i.live = &live.Since
		}
		applied, err := i.put(ctx, m, expected)
		if err == nil && applied {
			return i, nil
		}
		if scylla.Permanent(err) {
			return nil, err
		}
		last = err // or somebody else was faster, as the next look shows
		if err := pause(ctx, s.random, try); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("given up after %d tries: %w", maxConflicts, errors.Join(state.ErrMigrationTaken, last))
}

func liveError(live state.Live) error {
	since := ""
	if !live.Since.IsZero() {
		since = " since " + live.Since.UTC().Format(time.RFC3339)
	}
	return fmt.Errorf("%w%s: %s", state.ErrLive, since, live.By)
}

// Checkpoint implements state.Importer. The request can be repeated: its
// condition holds until somebody else migrates.
func (i *importer) Checkpoint(ctx context.Context, m state.Migration) error {
	if m.ID != i.id || m.Bulk != i.bulk || m.Run != i.run {
		return fmt.Errorf("storing how far the migration from %s is: it was begun as another one", i.id)
	}
	err := i.pace.one(ctx, func(ctx context.Context) error {
		applied, err := i.put(ctx, m, i.holder)
		if err != nil || applied {
			return err
		}
		if err := i.allowed(ctx); err != nil {
			return err
		}
		return errors.New("the condition failed for no reason")
	})
	if err != nil {
		return fmt.Errorf("storing how far the migration from %s is: %w", i.id, err)
	}
	return nil
}

// allowed returns an error when this process must not go on: somebody else
// migrates, or the pinset came into use.
func (i *importer) allowed(ctx context.Context) error {
	live, now, err := readLive(ctx, i.store.db)
	switch {
	case err != nil:
		return err
	case i.bulk && live.Yes():
		return liveError(live)
	case now != i.holder:
		return state.ErrMigrationTaken
	}
	return nil
}

// put stores m once, if the one who migrates is still the given one and the
// pinset is in use exactly when it was as the migration began.
func (i *importer) put(ctx context.Context, m state.Migration, expected holder) (applied bool, err error) {
	applied, _, err = i.store.db.CAS(ctx, scylla.Bind(writeMigration, i.holder.value(), m.Run, string(m.Phase), m.Bulk, m.Fingerprint, m.Options, m.Position,
		m.Read, m.Copied, m.Kept, m.Bad, m.Removed, m.Started, m.Updated, m.Report, pinset, m.ID, expected.value(), i.live))
	return applied, err
}
