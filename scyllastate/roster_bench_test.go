package scyllastate

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	benchPeers   = 1000
	benchReaders = 16
)

// BenchmarkListMembers lists 1,000 peers with 1.2 KB of metrics each from 16
// goroutines: with all of it in one partition, as it once was; when nothing is
// known yet; and when only heartbeats are new.
//
//	bin/cqlserver exec -- go test -run '^$' -bench ListMembers -benchtime 10s ./scyllastate
func BenchmarkListMembers(b *testing.B) {
	s := openStore(b, freshConfig(b))
	fillPeers(b, s)
	for _, way := range []struct {
		name string
		list func() (int, error)
	}{
		{"OnePartition", func() (int, error) { return listOnePartition(b, s) }},
		{"NothingKnown", func() (int, error) {
			r, err := s.readIdentities(b.Context())
			if err != nil {
				return 0, err
			}
			_, err = s.addBeats(b.Context(), r.members, nil)
			return len(r.members), err
		}},
		{"OnlyHeartbeats", func() (int, error) {
			all, err := s.ListMembers(b.Context())
			return len(all), err
		}},
	} {
		b.Run(way.name, func(b *testing.B) { listFromMany(b, way.list) })
	}
}

// listFromMany makes b.N listings, and reports how many a second.
func listFromMany(b *testing.B, list func() (int, error)) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var g errgroup.Group
	for range benchReaders {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				if n, err := list(); err != nil || n != benchPeers {
					return fmt.Errorf("%d peers: %w", n, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "listings/s")
}

// onePartition is the table as it was when heartbeats and metrics were cells of
// the rows of peers.
const onePartition = `CREATE TABLE one_partition (cluster text, peer text, name text, role text, addresses frozen<list<text>>, incarnation uuid,
	instance text, leaving timestamp, removed timestamp, beat bigint, beat_of uuid, ttl bigint, metrics blob, PRIMARY KEY (cluster, peer))`

func fillPeers(b *testing.B, s *Store) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(s.db.Session.Query(onePartition).Exec())
	var g errgroup.Group
	g.SetLimit(benchReaders)
	for i := range benchPeers {
		m := member(fmt.Sprint(i), incarnation(1))
		m.Addresses = []string{"/ip4/10.0.0.1/tcp/9096", "/ip4/10.0.0.1/udp/9096/quic-v1", "/ip6/2001:db8::1/tcp/9096", "/ip4/127.0.0.1/tcp/9096"}
		metrics := bytes.Repeat([]byte(fmt.Sprintf("%04d", i)), 300)
		g.Go(func() error {
			if err := s.PutMember(b.Context(), m, state.Member{}); err != nil {
				return err
			}
			h := state.Heartbeat{Incarnation: m.Incarnation, Beat: 1, TTL: time.Hour, Metrics: metrics}
			if err := s.Beat(b.Context(), m.ID, h); err != nil {
				return err
			}
			return s.db.Session.Query("INSERT INTO one_partition (cluster, peer, name, role, addresses, incarnation, instance, beat, beat_of, ttl, metrics)"+
				" VALUES ('c', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL 3600",
				m.ID.String(), m.Name, m.Role, m.Addresses, gocql.UUID(m.Incarnation), m.Instance, 1, gocql.UUID(m.Incarnation), 3600_000, metrics).Exec()
		})
	}
	must(g.Wait())
}

func listOnePartition(b *testing.B, s *Store) (n int, err error) {
	rows := s.db.Rows(b.Context(), gocql.Quorum, 100, scylla.Bind(
		"SELECT peer, name, role, addresses, incarnation, instance, leaving, removed, beat, beat_of, ttl, metrics FROM one_partition WHERE cluster = ?", "c"))
	for ; ; n++ {
		var c memberCells
		var beat, ttl int64
		var of *gocql.UUID
		var metrics []byte
		if !rows.Next(&c.id, &c.name, &c.role, &c.addresses, &c.incarnation, &c.instance, &c.leaving, &c.removed, &beat, &of, &ttl, &metrics) {
			break
		}
	}
	return n, rows.Close()
}
