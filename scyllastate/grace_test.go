package scyllastate

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// graceOf is what a store goes by that is opened with conf and that unpin_grace.
func graceOf(t *testing.T, conf *Config, grace time.Duration) time.Duration {
	t.Helper()
	return openStore(t, withGrace(conf, grace)).conf.UnpinGrace
}

// warnings lets the store say what is no error.
func warnings(t *testing.T) {
	t.Helper()
	must(t, logging.SetLogLevel("scyllastate", "warn"))
	t.Cleanup(func() { _ = logging.SetLogLevel("scyllastate", "error") })
}

func withGrace(conf *Config, grace time.Duration) *Config {
	c := *conf
	c.UnpinGrace = grace
	return &c
}

// TestUnpinGraceIsOfTheKeyspace shows that all stores on a keyspace go by the
// unpin_grace of the first one, and that one with another configuration says so.
func TestUnpinGraceIsOfTheKeyspace(t *testing.T) {
	conf := testConfig(t)
	const first = 2 * time.Hour
	warnings(t)
	if got := graceOf(t, conf, first+time.Millisecond); got != first { // a time to live has whole seconds
		t.Fatalf("the first store goes by %s", got)
	}
	var other *Store
	told := logtest.During(t, logging.LevelWarn, func() { other = openStore(t, withGrace(conf, 24*time.Hour)) })
	if want := "unpin_grace is 24h0m0s here and 2h0m0s in the keyspace " + conf.Keyspace; !strings.Contains(told, want) {
		t.Errorf("the log lacks %q:\n%s", want, told)
	}
	if told := logtest.During(t, logging.LevelWarn, func() { openStore(t, withGrace(conf, first)) }); strings.Contains(told, "unpin_grace") {
		t.Errorf("the same unpin_grace is told of:\n%s", told)
	}
	tool, err := OpenExisting(t.Context(), conf)
	must(t, err)
	t.Cleanup(func() { _ = tool.Close() })
	for _, s := range []*Store{other, tool} {
		pin := held("a", statetest.Peer("p"))
		must(t, s.Add(t.Context(), pin))
		must(t, s.Rm(t.Context(), pin.Cid))
		var seconds int
		must(t, s.db.Session.Query("SELECT TTL(rev) FROM pins WHERE cid = ?", pin.Cid.Bytes()).Scan(&seconds))
		if left := time.Duration(seconds) * time.Second; left > first || left < first-time.Minute {
			t.Errorf("the marker stays for %s, want %s", left, first)
		}
		read := time.Now().Add(-first/2 - time.Minute)
		if !s.stale(&write{read: read}) || s.stale(&write{read: read.Add(2 * time.Minute)}) {
			t.Errorf("a write does not rest for half of %s on what it has read", first)
		}
	}
}

// TestUnpinGraceAtOnce lets stores with different configurations open a keyspace at
// the same moment.
func TestUnpinGraceAtOnce(t *testing.T) {
	conf := testConfig(t)
	got := make([]time.Duration, 6)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			s, err := Open(t.Context(), withGrace(conf, time.Duration(i+1)*time.Hour))
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = s.conf.UnpinGrace
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if slices.Min(got) != slices.Max(got) {
		t.Errorf("they go by %v", got)
	}
}

// TestUnpinGraceOfAnOlderKeyspace shows that a keyspace of version 6, which has no
// unpin_grace, gets that of the first peer of this version.
func TestUnpinGraceOfAnOlderKeyspace(t *testing.T) {
	conf := freshConfig(t)
	six := fstest.MapFS{}
	names, err := fs.Glob(schema.Files, "*.cql")
	must(t, err)
	for _, name := range names[:6] {
		text, err := fs.ReadFile(schema.Files, name)
		must(t, err)
		six[name] = &fstest.MapFile{Data: text}
	}
	old, err := scylla.Open(t.Context(), conf.session(true), func(ctx context.Context, db *scylla.DB) error {
		if err := prepareSchema(ctx, db, SchemaApply, six); err != nil {
			return err
		}
		return claimKeyspace(ctx, db, conf.owner())
	})
	must(t, err)
	defer old.Close()

	verify := withGrace(conf, time.Hour)
	verify.Schema = SchemaVerify
	if _, err := Open(t.Context(), verify); err == nil || !strings.Contains(err.Error(), "lacks schema file "+path.Base(names[6])) {
		t.Errorf("a peer that may not change the schema: %v", err)
	}
	err = Adopt(t.Context(), withGrace(conf, time.Hour), func(Owner, Owner) error { t.Error("was asked"); return nil })
	if err == nil || !scylla.Permanent(err) || !strings.Contains(err.Error(), "lacks schema file") || !strings.Contains(err.Error(), "an upgrade comes first") {
		t.Errorf("adopting it before the upgrade: %v", err)
	}
	if got := graceOf(t, conf, 3*time.Hour); got != 3*time.Hour {
		t.Errorf("the first peer goes by %s", got)
	}
	if got := graceOf(t, verify, time.Hour); got != 3*time.Hour {
		t.Errorf("the second one goes by %s", got)
	}
	if owner, err := readOwner(t.Context(), old); err != nil || !owner.Same(conf.owner()) {
		t.Errorf("a peer of the older version sees the owner %+v, %v", owner, err)
	}
}

// TestBadUnpinGrace shows that one which somebody has written by hand is refused,
// and mended by adopting the keyspace.
func TestBadUnpinGrace(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	for _, seconds := range []int{5, -1, 0} {
		must(t, s.db.Session.Query("UPDATE cluster SET unpin_grace = ? WHERE id = ? IF EXISTS", seconds, ownerRow).Exec())
		_, err := Open(t.Context(), conf)
		want := "unpin_grace of the keyspace " + conf.Keyspace + " is " + (time.Duration(seconds) * time.Second).String() + ", and cannot be used"
		if err == nil || !scylla.Permanent(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "state adopt") {
			t.Errorf("%v, want %s", err, want)
		}
		must(t, Adopt(t.Context(), conf, func(Owner, Owner) error { return nil }))
		if got := graceOf(t, conf, time.Hour); got != conf.UnpinGrace {
			t.Errorf("it is %s then", got)
		}
	}
}

// TestAdoptUnpinGrace shows how the unpin_grace of a keyspace is changed.
func TestAdoptUnpinGrace(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	moved := withGrace(conf, time.Hour)
	id := statetest.Peer("running")
	if _, err := s.OpenFeed(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	err := Adopt(t.Context(), moved, func(Owner, Owner) error { t.Error("was asked"); return nil })
	if err == nil || !strings.Contains(err.Error(), "the peer "+id.String()+" uses the keyspace") {
		t.Errorf("beside a running peer: %v", err)
	}
	must(t, s.db.Session.Query("UPDATE cursors SET position = ? WHERE feed = ? AND consumer = ?",
		time.Now().Add(-quiet), id.String(), id.String()).Exec())

	refused := errors.New("no")
	err = Adopt(t.Context(), moved, func(present, wanted Owner) error {
		if !present.Same(wanted) || present.UnpinGrace != DefaultUnpinGrace || wanted.UnpinGrace != time.Hour {
			t.Errorf("was asked about %+v and %+v", present, wanted)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("a change that was not confirmed: %v", err)
	}
	if got := graceOf(t, moved, time.Hour); got != DefaultUnpinGrace {
		t.Errorf("it is %s after a change that was not confirmed", got)
	}
	must(t, Adopt(t.Context(), moved, func(Owner, Owner) error { return nil }))
	if got := graceOf(t, conf, DefaultUnpinGrace); got != time.Hour {
		t.Errorf("it is %s after the change", got)
	}
	must(t, Adopt(t.Context(), moved, func(Owner, Owner) error { t.Error("was asked for nothing"); return nil }))
}
