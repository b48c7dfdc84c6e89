package multipeer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The statements of a listing of the peers.
const (
	readLatest  = "SELECT DISTINCT latest FROM peers WHERE cluster = ?"
	readMembers = "SELECT latest, version, peer,"
	readBeats   = "SELECT peer, beat FROM beats WHERE shard = ?"
	readMetrics = "SELECT peer, beat, metrics FROM beats"
)

// roll is a table of so many peers that do not run, with a store that reads it
// by a link and one that writes it.
type roll struct {
	t       *testing.T
	link    *link
	members []state.Member
	reader  *scyllastate.Store
	writer  *scyllastate.Store
}

func newRoll(t *testing.T, n int) *roll {
	t.Helper()
	w := newWorld(t)
	r := &roll{t: t, link: newLink(t, w.server)}
	open := func(port int) *scyllastate.Store {
		conf := w.conf
		conf.Port = port
		store, err := scyllastate.Open(t.Context(), &conf)
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	r.reader, r.writer = open(r.link.port), open(w.server.Port())
	var g errgroup.Group
	g.SetLimit(4)
	for i := range n {
		m := state.Member{
			ID: stranger(t).id, Name: fmt.Sprintf("peer%d", i), Role: "full", Incarnation: state.Incarnation{1, 15: 1}, Instance: "elsewhere",
			Addresses: []string{"/ip4/10.0.0.1/tcp/9096", "/ip4/10.0.0.1/udp/9096/quic-v1", "/ip6/2001:db8::1/tcp/9096", "/ip4/127.0.0.1/tcp/9096"},
		}
		r.members = append(r.members, m)
		g.Go(func() error {
			return errors.Join(r.writer.PutMember(t.Context(), m, state.Member{}), r.beat(m, 1, "first"))
		})
	}
	must(t, g.Wait())
	return r
}

// beat sends a heartbeat with 1,200 bytes of metrics.
func (r *roll) beat(m state.Member, number int64, metrics string) error {
	return r.writer.Beat(r.t.Context(), m.ID, state.Heartbeat{
		Incarnation: m.Incarnation, Beat: number, TTL: time.Hour, Metrics: bytes.Repeat([]byte(metrics), 1200/len(metrics)),
	})
}

// list lists the peers, and returns them with what was asked for that.
func (r *roll) list() (map[string]state.Member, map[string]usage) {
	r.t.Helper()
	_, err := r.link.tally.take()
	must(r.t, err)
	all, err := r.reader.ListMembers(r.t.Context())
	must(r.t, err)
	by, err := r.link.tally.take()
	must(r.t, err)
	if len(all) != len(r.members) {
		r.t.Errorf("%d peers are listed, want %d", len(all), len(r.members))
	}
	out := make(map[string]state.Member, len(all))
	for _, m := range all {
		out[m.Name] = m
		if len(m.Metrics) < 1190 || m.Beat == 0 {
			r.t.Errorf("%s is listed with beat %d and %d bytes of metrics", m.Name, m.Beat, len(m.Metrics))
		}
	}
	return out, by
}

// asked is the sum of what was asked with statements that have these parts.
func asked(by map[string]usage, parts ...string) usage {
	var sum usage
	for text, u := range by {
		if containsAll(text, parts) {
			sum = sum.plus(u)
		}
	}
	return sum
}

// TestListingCost: a listing of the peers reads only what has changed.
func TestListingCost(t *testing.T) {
	const peers, shards = 120, 16
	r := newRoll(t, peers)
	_, by := r.list()
	all := asked(by, "")
	if got := asked(by, readMetrics); got.rows != peers || asked(by, readMembers).rows != peers {
		t.Errorf("the first listing reads %v", by)
	}
	quiet := func(what string, want usage) {
		t.Helper()
		_, by := r.list()
		got := asked(by, "")
		t.Logf("%s: %d requests, %d rows, %d bytes; the first listing: %d, %d, %d", what, got.sent, got.rows, got.bytes, all.sent, all.rows, all.bytes)
		if got.sent != want.sent || got.rows != want.rows || got.bytes > want.bytes ||
			asked(by, readLatest).sent != 1 || asked(by, readBeats).sent != shards {
			t.Errorf("%s: reads %v, want %d requests for %d rows and at most %d bytes", what, by, want.sent, want.rows, want.bytes)
		}
	}
	quiet("nothing has changed", usage{sent: 1 + shards, rows: 1 + peers, bytes: 150 * peers})
	for _, m := range r.members {
		must(t, r.beat(m, 2, "first"))
	}
	quiet("everybody has sent a heartbeat", usage{sent: 1 + shards, rows: 1 + peers, bytes: 150 * peers})

	changed := r.members[7]
	must(t, r.beat(changed, 3, "second"))
	listed, by := r.list()
	if m := listed[changed.Name]; m.Beat != 3 || !bytes.HasPrefix(m.Metrics, []byte("second")) {
		t.Errorf("metrics that changed are listed as %.20s of beat %d", m.Metrics, m.Beat)
	}
	if got := asked(by, readMetrics); got.sent != 1 || got.rows != 1 || asked(by, readMembers).sent != 0 {
		t.Errorf("metrics of one peer have changed: reads %v", by)
	}
	quiet("after that", usage{sent: 1 + shards, rows: 1 + peers, bytes: 150 * peers})

	leaving := r.members[8]
	leaving.Leaving = time.UnixMilli(1_700_000_000_000)
	must(t, r.writer.PutMember(t.Context(), leaving, r.members[8]))
	listed, by = r.list()
	if m := listed[leaving.Name]; m.Leaving.IsZero() {
		t.Error("a peer that leaves is not listed as such")
	}
	if asked(by, readMembers).rows != peers || asked(by, readMetrics).sent != 0 {
		t.Errorf("a peer leaves: reads %v", by)
	}
	quiet("after that, too", usage{sent: 1 + shards, rows: 1 + peers, bytes: 150 * peers})
}

// TestListingOfFew: the shards in which nobody is are not read.
func TestListingOfFew(t *testing.T) {
	r := newRoll(t, 1)
	r.list()
	if _, by := r.list(); asked(by, "").sent != 2 || asked(by, readBeats).sent != 1 {
		t.Errorf("a listing of one peer reads %v", by)
	}
}

// TestListingIsNeverShort: when one shard of the heartbeats, or the metrics of
// one, cannot be read, there is no listing, and the next one is whole again.
func TestListingIsNeverShort(t *testing.T) {
	r := newRoll(t, 30)
	r.list()
	var lost []byte
	for what, text := range map[string]string{"heartbeats": readBeats, "metrics": readMetrics, "identities": readLatest} {
		for _, m := range r.members {
			must(t, r.beat(m, 2, what))
		}
		lost = nil
		r.link.lose(func(sent string, first []byte) bool {
			if !containsAll(sent, []string{text}) {
				return false
			}
			if lost == nil {
				lost = first
			}
			return bytes.Equal(first, lost)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		all, err := r.reader.ListMembers(ctx)
		cancel()
		r.link.lose(nil)
		if !errors.Is(err, context.DeadlineExceeded) || all != nil {
			t.Errorf("%s, of which %x gets no answer: %d peers, %v", what, lost, len(all), err)
		}
		listed, _ := r.list()
		for _, m := range listed {
			if !bytes.HasPrefix(m.Metrics, []byte(what)) {
				t.Errorf("%s: later %s has the metrics %.20s", what, m.Name, m.Metrics)
			}
		}
	}
}
