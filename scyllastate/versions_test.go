package scyllastate

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// current is the newest schema version that this binary knows.
func current(tb testing.TB) int {
	tb.Helper()
	names, err := fs.Glob(schema.Files, "*.cql")
	if err != nil {
		tb.Fatal(err)
	}
	return len(names)
}

// nextVersion is the schema of a version that does not exist yet: today's files
// and one that adds a column to pins and a table.
func nextVersion(tb testing.TB, minBinary int) fs.FS {
	tb.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(schema.Files, "*.cql")
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(schema.Files, name)
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	text := fmt.Sprintf("-- min_binary: %d\nALTER TABLE pins ADD colour text;\nCREATE TABLE IF NOT EXISTS colours (colour text PRIMARY KEY) WITH ${point};\n", minBinary)
	files[fmt.Sprintf("%04d_next.cql", len(names)+1)] = &fstest.MapFile{Data: []byte(text)}
	return files
}

func openVersion(tb testing.TB, conf *Config, files fs.FS) (*Store, error) {
	tb.Helper()
	s, err := open(context.Background(), conf, options{limits: production(), schema: files})
	if err == nil {
		tb.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// TestMixedVersions runs this version and the next one on one keyspace: while
// the next one upgrades it, beside it, and alone again after a downgrade.
func TestMixedVersions(t *testing.T) {
	conf := freshConfig(t)
	old := openStore(t, conf)
	var pins []api.Pin
	for _, sample := range statetest.Samples(t) {
		pins = append(pins, sample.Pin)
	}
	for _, pin := range pins { // its statements are prepared for the old tables
		if err := old.Add(t.Context(), pin); err != nil {
			t.Fatal(err)
		}
	}
	next, err := openVersion(t, conf, nextVersion(t, current(t)))
	if err != nil {
		t.Fatal(err)
	}
	var column string
	if err := next.db.Session.Query("SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'pins' AND column_name = 'colour'",
		conf.Keyspace).Scan(&column); err != nil {
		t.Fatal("the upgrade did nothing: ", err)
	}

	both := map[string]*Store{"old": old, "next": next}
	feeds := map[string]*recorder{
		"old":  consume(t, old, statetest.Peer("old")),
		"next": consume(t, next, statetest.Peer("next")),
	}
	for name, s := range both {
		for who, writer := range both {
			pin := pins[0]
			pin.Name = fmt.Sprintf("written by %s for %s", who, name)
			pin.ReplicationFactorMin, pin.ReplicationFactorMax = 1, 1
			pin.Allocations = []peer.ID{statetest.Peer(name)}
			if err := writer.Add(t.Context(), pin); err != nil {
				t.Fatalf("%s writes: %v", who, err)
			}
			if got, err := s.Get(t.Context(), pin.Cid); err != nil || got.Name != pin.Name {
				t.Errorf("%s reads %q, %v; want %q", name, got.Name, err, pin.Name)
			}
			waitFor(t, name+" to be told what "+who+" wrote", func() bool {
				seen, _ := feeds[name].seen(pin.Cid)
				return seen != nil && seen.Name == pin.Name
			})
		}
		if n := count(t, s); n != len(pins) {
			t.Errorf("%s lists %d pins, want %d", name, n, len(pins))
		}
	}

	// Each adds one more to one counter, at the same time.
	const each = 20
	counter := pins[1].Cid
	var wg sync.WaitGroup
	for name, s := range both {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range each {
				err := s.Update(t.Context(), counter, func(current *api.Pin) (*api.Pin, error) {
					pin := *current
					pin.ShardSize++
					return &pin, nil
				})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}()
	}
	wg.Wait()
	got, err := old.Get(t.Context(), counter)
	if err != nil || got.ShardSize != pins[1].ShardSize+2*each {
		t.Errorf("the counter is at %d (%v), want %d", got.ShardSize, err, pins[1].ShardSize+2*each)
	}

	conf.Schema = SchemaVerify
	again := openStore(t, conf) // the downgrade
	for _, pin := range pins {
		if err := again.Rm(t.Context(), pin.Cid); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, next); n != 0 {
		t.Errorf("%d pins are left", n)
	}
}

// TestMinBinary shows that a schema that is not for this version refuses it.
func TestMinBinary(t *testing.T) {
	conf := freshConfig(t)
	newest := current(t) + 1
	if _, err := openVersion(t, conf, nextVersion(t, newest)); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{SchemaApply, SchemaVerify} {
		conf.Schema = mode
		_, err := openVersion(t, conf, schema.Files)
		want := fmt.Sprintf("needs a binary with schema version %d or newer; this one has %d: upgrade it", newest, newest-1)
		if err == nil || !scylla.Permanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("schema %s: %v, want %s", mode, err, want)
		}
	}
}

// TestNextVersionVerifies shows that a version which may not change the schema
// waits for one that may.
func TestNextVersionVerifies(t *testing.T) {
	conf := testConfig(t)
	openStore(t, conf)
	conf.Schema = SchemaVerify
	_, err := openVersion(t, conf, nextVersion(t, 1))
	want := fmt.Sprintf("lacks schema file %04d_next.cql", current(t)+1)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func count(tb testing.TB, s *Store) int {
	tb.Helper()
	n, err := s.Count(tb.Context(), func(int) {})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
