package scyllastate

import (
	"context"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func lastBeats(t *testing.T, s *Store, ids ...peer.ID) map[peer.ID]state.LastBeat {
	t.Helper()
	notes, err := s.LastBeats(t.Context(), ids)
	must(t, err)
	return notes
}

// TestLastBeats stay when the heartbeat has run out, and are no heartbeat.
func TestLastBeats(t *testing.T) {
	s := newTestStore(t)
	var ids []peer.ID
	want := make(map[peer.ID]state.LastBeat)
	for i := range 40 { // in all shards
		m := member(fmt.Sprint("last beat ", i), incarnation(1))
		must(t, s.PutMember(t.Context(), m, state.Member{}))
		ids = append(ids, m.ID)
		if i%4 == 0 {
			continue // of an earlier version: it makes no notes
		}
		note := state.LastBeat{At: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(), Zone: fmt.Sprint("rack-", i%3)}
		must(t, s.PutLastBeat(t.Context(), m.ID, state.LastBeat{At: note.At.Add(-time.Hour), Zone: "another"}))
		must(t, s.PutLastBeat(t.Context(), m.ID, note))
		want[m.ID] = note
	}
	notes := lastBeats(t, s, ids...)
	for id, note := range notes {
		note.At = note.At.UTC()
		notes[id] = note
	}
	if !reflect.DeepEqual(notes, want) {
		t.Errorf("the notes are %v, want %v", notes, want)
	}
	if notes := lastBeats(t, s, ids[0], ids[1]); len(notes) != 1 || notes[ids[1]].Zone != "rack-1" {
		t.Errorf("of two peers, of which one made a note, there are %v", notes)
	}
	if notes := lastBeats(t, s); len(notes) != 0 {
		t.Errorf("of nobody there are %v", notes)
	}
	all, err := s.ListMembers(t.Context())
	must(t, err)
	for _, m := range all {
		if m.Beat != 0 || m.TTL != 0 {
			t.Errorf("a peer without heartbeat has %d, %s", m.Beat, m.TTL)
		}
	}
	// A heartbeat leaves the note alone, and the other way round.
	id := ids[1]
	must(t, s.Beat(t.Context(), id, state.Heartbeat{Incarnation: incarnation(1), Beat: 3, TTL: time.Hour, Metrics: []byte("m")}))
	must(t, s.PutLastBeat(t.Context(), id, want[id]))
	if m := listed(t, s, id); m.Beat != 3 || string(m.Metrics) != "m" {
		t.Errorf("after a note the heartbeat is %d with %q", m.Beat, m.Metrics)
	}
	var ttl *int
	must(t, s.db.Session.Query("SELECT TTL(last) FROM beats WHERE shard = ? AND peer = ?", shardOfPeer(id), id.String()).Scan(&ttl))
	if ttl != nil {
		t.Errorf("a note runs out after %d s", *ttl)
	}
}

func TestLastBeatsRefuse(t *testing.T) {
	s := newTestStore(t)
	id := statetest.Peer("refused")
	for want, note := range map[string]state.LastBeat{
		"it has no time": {Zone: "a"},
		"more than 64":   {At: time.Now(), Zone: strings.Repeat("a", 65)},
	} {
		if err := s.PutLastBeat(t.Context(), id, note); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("%v: %v, want %q", note, err, want)
		}
	}
	if d := time.Since(s.DatabaseTime()).Abs(); d > time.Minute {
		t.Errorf("the database's clock is %s away", d)
	}
}

// TestLastBeatsBesideEarlierVersions: a peer of a build before them runs on, and sees
// the heartbeats of all.
func TestLastBeatsBesideEarlierVersions(t *testing.T) {
	conf := freshConfig(t)
	files := fstest.MapFS{}
	names, err := fs.Glob(schema.Files, "000[1-7]_*.cql")
	must(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(schema.Files, name)
		must(t, err)
		files[name] = &fstest.MapFile{Data: text}
	}
	made, err := scylla.Open(t.Context(), conf.session(true), func(ctx context.Context, db *scylla.DB) error {
		if err := prepareSchema(ctx, db, SchemaApply, files); err != nil {
			return err
		}
		return claimKeyspace(ctx, db, conf.owner())
	})
	must(t, err)
	made.Close()
	openEarlier := func() *Store {
		t.Helper()
		// This way it asks for nothing that later builds store.
		s, err := open(t.Context(), conf, options{limits: production(), existing: true, readOnly: true})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	earlier := openEarlier()
	old, now := member("old", incarnation(1)), member("new", incarnation(2))
	must(t, earlier.PutMember(t.Context(), old, state.Member{}))
	old = beat(t, earlier, old, incarnation(1), 1, "of before")

	s := openStore(t, conf)
	must(t, s.PutMember(t.Context(), now, state.Member{}))
	must(t, s.PutLastBeat(t.Context(), now.ID, state.LastBeat{At: time.Now(), Zone: "a"}))
	wantMember(t, earlier, "a note alone", now)
	now = beat(t, s, now, incarnation(2), 1, "of now")
	old = beat(t, earlier, old, incarnation(1), 2, "of before, again")
	for who, some := range map[string]*Store{"the earlier": earlier, "the later": s} {
		wantMember(t, some, who+" sees the earlier", old)
		wantMember(t, some, who+" sees the later", now)
	}
	if notes := lastBeats(t, s, old.ID, now.ID); len(notes) != 1 || notes[now.ID].Zone != "a" {
		t.Errorf("the notes are %v", notes)
	}
	wantMember(t, openEarlier(), "an earlier one starts again", now)
}
