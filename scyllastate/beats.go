package scyllastate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// beatShards spreads the heartbeats over the nodes: every peer reads those
	// of all. It is a constant of the schema.
	beatShards = 16
	// beatsPage is the number of heartbeats that one request returns, and
	// metricsPage that of metrics, which are larger. ScyllaDB takes no more
	// than 100 keys in one request.
	beatsPage   = 1000
	metricsPage = 100
)

// shardOfPeer is the shard of a peer in beats: the first 4 bits of the SHA-256
// of its ID.
func shardOfPeer(id peer.ID) int {
	sum := sha256.Sum256([]byte(id))
	return int(sum[0] >> 4)
}

// hashOfMetrics tells whether metrics have changed, without them. It is 0 for
// none. It goes by the content alone: whoever counted changes would have to
// tell the processes of one peer apart, and could not see that what was read
// has parts of two heartbeats.
func hashOfMetrics(metrics []byte) int64 {
	if len(metrics) == 0 {
		return 0
	}
	sum := sha256.Sum256(metrics)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// Beat implements state.Members.
func (s *Store) Beat(ctx context.Context, id peer.ID, h state.Heartbeat) error {
	if err := checkHeartbeat(h); err != nil {
		return fmt.Errorf("writing a heartbeat of peer %s: %w", id, err)
	}
	metrics := h.Metrics
	if metrics == nil {
		metrics = []byte{} // null would be a tombstone
	}
	err := s.db.Write(ctx, scylla.Bind(writeBeat, wholeSeconds(h.TTL), s.stamp(),
		h.Beat, gocql.UUID(h.Incarnation), h.TTL.Milliseconds(), hashOfMetrics(metrics), metrics, shardOfPeer(id), id.String()))
	if err != nil {
		return fmt.Errorf("writing a heartbeat of peer %s: %w", id, err)
	}
	return nil
}

// wholeSeconds is a time to live, at least as long as d.
func wholeSeconds(d time.Duration) int { return int((d-1)/time.Second) + 1 }

func checkHeartbeat(h state.Heartbeat) error {
	switch {
	case h.Incarnation == (state.Incarnation{}):
		return errors.New("it has no incarnation")
	case h.Beat == 0:
		return errors.New("its number is 0, which stands for a heartbeat that ran out")
	case h.TTL <= 0 || h.TTL > maxBeatTTL:
		return fmt.Errorf("it is to count for %s: must be more than 0 and at most %s", h.TTL, maxBeatTTL)
	case len(h.Metrics) > maxMetrics:
		return fmt.Errorf("its metrics have %d bytes, more than %d", len(h.Metrics), maxMetrics)
	}
	return nil
}

// published is what a peer publishes, with its hash.
type published struct {
	hash    int64
	metrics []byte
}

// addBeats adds the last heartbeat to each of the members, whose heartbeats are
// not set. It reads only the shards that members lie in, at the same time, and
// only metrics that are not known. It returns the metrics of all.
func (s *Store) addBeats(ctx context.Context, members []state.Member, known map[peer.ID]published) (map[peer.ID]published, error) {
	var shards [beatShards]beatShard
	for i := range members {
		shard := &shards[shardOfPeer(members[i].ID)]
		if shard.members == nil {
			shard.members = make(map[string]*state.Member)
		}
		shard.members[members[i].ID.String()] = &members[i]
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range shards {
		shard := &shards[i]
		if len(shard.members) == 0 {
			continue
		}
		shard.number, shard.known, shard.found = i, known, make(map[peer.ID]published, len(shard.members))
		g.Go(func() error {
			if err := shard.read(ctx, s.db); err != nil {
				return fmt.Errorf("heartbeats, shard %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := make(map[peer.ID]published, len(members))
	for i := range shards {
		for id, p := range shards[i].found {
			all[id] = p
		}
	}
	return all, nil
}

// beatShard is one partition of beats that is read for its members.
type beatShard struct {
	number  int
	members map[string]*state.Member // by their key
	known   map[peer.ID]published
	found   map[peer.ID]published
}

// read adds the heartbeats of the shard to its members.
func (b *beatShard) read(ctx context.Context, db *scylla.DB) error {
	rows := db.Rows(ctx, gocql.Quorum, beatsPage, scylla.Bind(selectBeats, b.number))
	var changed []string
	for {
		var cells beatCells
		if !rows.Next(cells.columns()...) {
			break
		}
		m := b.members[cells.peer]
		if m == nil || !cells.there() {
			continue // a heartbeat of nobody
		}
		switch p := b.known[m.ID]; {
		case cells.hash == 0:
			cells.addTo(m)
		case p.hash == cells.hash:
			cells.addTo(m)
			b.publish(m, p)
		default:
			changed = append(changed, cells.peer)
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for keys := range slices.Chunk(changed, metricsPage) {
		if err := b.readMetrics(ctx, db, keys); err != nil {
			return err
		}
	}
	return nil
}

// readMetrics adds the heartbeats with these keys, which may be newer by now. One
// that is not there any more has run out meanwhile.
func (b *beatShard) readMetrics(ctx context.Context, db *scylla.DB, keys []string) error {
	rows := db.Rows(ctx, gocql.Quorum, metricsPage, scylla.Bind(selectMetrics, b.number, keys))
	for {
		var cells beatCells
		var metrics []byte
		if !rows.Next(append(cells.columns(), &metrics)...) {
			break
		}
		m := b.members[cells.peer]
		if m == nil || !cells.there() {
			continue
		}
		cells.addTo(m)
		if len(metrics) > 0 {
			// By the hash of what came: replicas that repair each other column by
			// column may have a new beat beside older metrics for a moment.
			b.publish(m, published{hashOfMetrics(metrics), metrics})
		}
	}
	return rows.Close()
}

func (b *beatShard) publish(m *state.Member, p published) {
	m.Metrics = p.metrics
	b.found[m.ID] = p
}

// beatCells are the key and the cell beat of one row of beats.
type beatCells struct {
	peer            string
	beat, ttl, hash int64
	of              *gocql.UUID
}

// columns are where the columns of selectBeats go, in its order.
func (c *beatCells) columns() []any { return []any{&c.peer, &c.beat, &c.of, &c.ttl, &c.hash} }

// there is false when the heartbeat has run out.
func (c *beatCells) there() bool { return c.of != nil }

func (c *beatCells) addTo(m *state.Member) {
	m.Beat, m.BeatOf, m.TTL = c.beat, state.Incarnation(*c.of), time.Duration(c.ttl)*time.Millisecond
}
