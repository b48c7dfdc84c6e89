package scyllastate

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func migration(id string, run int64, bulk bool) state.Migration {
	return state.Migration{ID: id, Run: run, Bulk: bulk, Phase: state.MigrationCopying, Started: time.UnixMilli(1_700_000_000_000)}
}

func begin(t *testing.T, s *Store, m state.Migration) state.Importer {
	t.Helper()
	i, err := s.BeginMigration(t.Context(), m, lookAt(t, s).Holder)
	must(t, err)
	return i
}

func lookAt(t *testing.T, s *Store) state.Migrations {
	t.Helper()
	found, err := s.Migrations(t.Context())
	must(t, err)
	return found
}

// TestMigrationIsRemembered: what is stored comes back, for each source.
func TestMigrationIsRemembered(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	if found := lookAt(t, s); found.Live.Yes() || len(found.All) > 0 || found.Holder != "" {
		t.Fatalf("a new keyspace has %+v", found)
	}
	one := state.Migration{
		ID: "crdt:/one", Run: 3, Phase: state.MigrationSweeping, Bulk: true, Fingerprint: "f", Options: "{}", Position: []byte{1, 2},
		Read: 10, Copied: 7, Kept: 2, Bad: 1, Removed: 4,
		Started: time.UnixMilli(1_700_000_000_123), Updated: time.UnixMilli(1_700_000_001_456), Report: `{"a":1}`,
	}
	two := migration("export:/two", 1, true)
	i := begin(t, s, migration(one.ID, 3, true))
	must(t, i.Checkpoint(ctx, one))
	begin(t, s, two)
	found := lookAt(t, s)
	if found.Live.Yes() || len(found.All) != 2 {
		t.Fatalf("found %+v", found)
	}
	for n, want := range []state.Migration{one, two} {
		got := found.All[n]
		if !got.Started.Equal(want.Started) || !got.Updated.Equal(want.Updated) && !want.Updated.IsZero() {
			t.Errorf("%s was started %s, updated %s", want.ID, got.Started, got.Updated)
		}
		got.Started, got.Updated, want.Started, want.Updated = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if len(got.Position) == 0 {
			got.Position = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("stored %+v, want %+v", got, want)
		}
	}
}

// TestMigrationTakenOver: one process migrates, the one that began last, also
// from another source.
func TestMigrationTakenOver(t *testing.T) {
	conf := testConfig(t)
	a, b := openStore(t, conf), openStore(t, conf)
	ctx := t.Context()
	m := migration("crdt:/one", 1, true)
	first := begin(t, a, m)
	must(t, first.Checkpoint(ctx, m))
	other := migration("crdt:/other", 1, true)
	for _, taken := range []state.Migration{m, other} {
		second := begin(t, b, taken)
		if err := first.Checkpoint(ctx, m); !errors.Is(err, state.ErrMigrationTaken) {
			t.Errorf("after %s was begun elsewhere the checkpoint ends with %v", taken.ID, err)
		}
		must(t, second.Checkpoint(ctx, taken))
		first = begin(t, a, m)
	}
	must(t, first.Checkpoint(ctx, m))

	// Who decided before another one began has not seen what that one writes.
	seen := lookAt(t, b).Holder
	first = begin(t, a, m)
	for _, late := range []string{seen, ""} {
		if _, err := b.BeginMigration(ctx, other, late); !errors.Is(err, state.ErrMigrationTaken) {
			t.Errorf("a migration that was decided before another one began: %v", err)
		}
	}
	if _, err := b.BeginMigration(ctx, other, "nobody"); err == nil || errors.Is(err, state.ErrMigrationTaken) {
		t.Errorf("a migration after that of \"nobody\": %v", err)
	}
	must(t, first.Checkpoint(ctx, m))
	wrong := m
	wrong.Run = 2
	if err := first.Checkpoint(ctx, wrong); err == nil {
		t.Error("the checkpoint of another run was stored")
	}
	for _, bad := range []state.Migration{migration("", 1, true), migration("x", 0, true), migration("x", state.MaxMigrationRuns+1, true)} {
		if _, err := a.BeginMigration(ctx, bad, lookAt(t, a).Holder); err == nil {
			t.Errorf("%+v was begun", bad)
		}
	}
}

// TestLateConditionalMigration: one that is not begun does not end a bulk migration.
func TestLateConditionalMigration(t *testing.T) {
	conf := testConfig(t)
	a, b := openStore(t, conf), openStore(t, conf)
	ctx := t.Context()
	seen := lookAt(t, b).Holder
	m := migration("crdt:/one", 1, true)
	i := begin(t, a, m)
	if _, err := b.BeginMigration(ctx, migration("crdt:/other", 1, false), seen); !errors.Is(err, state.ErrMigrationTaken) {
		t.Errorf("it begins with %v", err)
	}
	must(t, i.Checkpoint(ctx, m))
	if live := lookAt(t, a).Live; live.Yes() {
		t.Errorf("the pinset is in use: %+v", live)
	}
}

// TestIndexOfAPinThatIsDue: it is found by peers that have passed the time at which
// the run began.
func TestIndexOfAPinThatIsDue(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	now := time.Now()
	pin := everywherePin(statetest.Cid("due"))
	pin.ExpireAt = now.Add(-24 * time.Hour)
	m := migration("crdt:/one", 1, false)
	m.Started = now.Add(-time.Hour)
	must(t, begin(t, s, m).Index(ctx, []state.BulkPin{bulkPin(t, 1, pin)}))
	found := false
	must(t, s.Due(ctx, shardOf(pin.Cid), now.Add(-time.Minute), now.Add(time.Minute), func(c api.Cid, _ time.Time) error {
		found = found || c.Equals(pin.Cid)
		return nil
	}))
	if !found {
		t.Error("no peer finds it")
	}
}

// TestLiveEndsBulk: whatever a peer does first, no migration writes without
// conditions from then on, and one that does learns it at its next checkpoint.
func TestLiveEndsBulk(t *testing.T) {
	id := statetest.Peer("a")
	member := state.Member{ID: id, Incarnation: state.Incarnation(gocql.MustRandomUUID()), Role: "full", Instance: "i"}
	for _, test := range []struct {
		name string
		// use is what brings the pinset to life.
		use func(ctx context.Context, s *Store) error
		// older is a sign of a peer that does not set the mark.
		older bool
	}{
		{name: "pin", use: func(ctx context.Context, s *Store) error {
			return s.Add(ctx, everywherePin(statetest.Cid("a")))
		}},
		{name: "feed", use: func(ctx context.Context, s *Store) error { _, err := s.OpenFeed(ctx, id); return err }},
		{name: "peer", use: func(ctx context.Context, s *Store) error { return s.PutMember(ctx, member, state.Member{}) }},
		{name: "fence", use: func(ctx context.Context, s *Store) error {
			_, err := s.fence(ctx, statetest.Cid("a"), row{})
			return err
		}},
		{name: "conditional migration", use: func(ctx context.Context, s *Store) error {
			found, err := s.Migrations(ctx)
			if err != nil {
				return err
			}
			_, err = s.BeginMigration(ctx, migration("rest:x", 1, false), found.Holder)
			return err
		}},
		{name: "older peer", older: true, use: func(_ context.Context, s *Store) error {
			return s.db.Session.Query("UPDATE peers SET name = 'x' WHERE cluster = ? AND peer = 'p'", peersPartition).Exec()
		}},
		{name: "older feed", older: true, use: func(_ context.Context, s *Store) error {
			return s.db.Session.Query("UPDATE cursors SET position = 1 WHERE feed = 'p' AND consumer = 'p'").Exec()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			conf := testConfig(t)
			migrating, peer := openStore(t, conf), openStore(t, conf)
			ctx := t.Context()
			m := migration("crdt:/one", 1, true)
			i := begin(t, migrating, m)
			must(t, i.Checkpoint(ctx, m))
			must(t, test.use(ctx, peer))
			found := lookAt(t, migrating)
			if !found.Live.Yes() || found.Live.Since.IsZero() != test.older {
				t.Errorf("live is %+v", found.Live)
			}
			if _, err := migrating.BeginMigration(ctx, m, found.Holder); !errors.Is(err, state.ErrLive) {
				t.Errorf("a bulk migration begins with %v", err)
			}
			if test.older {
				return
			}
			if err := i.Checkpoint(ctx, m); !errors.Is(err, state.ErrLive) {
				t.Errorf("the checkpoint ends with %v", err)
			}
			m.Bulk = false
			must(t, begin(t, migrating, m).Checkpoint(ctx, m))
		})
	}
}

// TestLiveIsSetOnce: who reads the pinset does not bring it to life, and the first
// who writes stays noted.
func TestLiveIsSetOnce(t *testing.T) {
	conf := testConfig(t)
	a, b := openStore(t, conf), openStore(t, conf)
	ctx := t.Context()
	if _, err := a.Get(ctx, statetest.Cid("a")); !errors.Is(err, state.ErrNotFound) {
		t.Fatal(err)
	}
	if live := lookAt(t, a).Live; live.Yes() {
		t.Fatalf("after a read it is live: %+v", live)
	}
	must(t, a.Add(ctx, everywherePin(statetest.Cid("a"))))
	first := lookAt(t, a).Live
	must(t, b.Rm(ctx, statetest.Cid("a")))
	if second := lookAt(t, b).Live; first != second || !first.Yes() {
		t.Errorf("it is live %+v and then %+v", first, second)
	}
}
