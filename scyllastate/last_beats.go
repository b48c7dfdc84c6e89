package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxZone bounds the name of a zone, in bytes.
const maxZone = 64

// PutLastBeat implements state.Members. The time is kept to the millisecond.
func (s *Store) PutLastBeat(ctx context.Context, id peer.ID, last state.LastBeat) error {
	err := checkLastBeat(last)
	if err == nil {
		err = s.db.Write(ctx, scylla.Bind(writeLastBeat, s.stamp(), last.At, last.Zone, shardOfPeer(id), id.String()))
	}
	if err != nil {
		return fmt.Errorf("noting that peer %s runs: %w", id, err)
	}
	return nil
}

func checkLastBeat(last state.LastBeat) error {
	switch {
	case last.At.IsZero():
		return errors.New("it has no time")
	case len(last.Zone) > maxZone:
		return fmt.Errorf("its zone has %d bytes, more than %d", len(last.Zone), maxZone)
	}
	return nil
}

// LastBeats implements state.Members. It reads only the shards that the peers lie
// in, at the same time.
func (s *Store) LastBeats(ctx context.Context, ids []peer.ID) (map[peer.ID]state.LastBeat, error) {
	var shards [beatShards]map[string]peer.ID // by their key
	for _, id := range ids {
		shard := shardOfPeer(id)
		if shards[shard] == nil {
			shards[shard] = make(map[string]peer.ID)
		}
		shards[shard][id.String()] = id
	}
	var found [beatShards]map[peer.ID]state.LastBeat
	g, ctx := errgroup.WithContext(ctx)
	for i, wanted := range shards {
		if wanted == nil {
			continue
		}
		g.Go(func() (err error) {
			if found[i], err = s.readLastBeats(ctx, i, wanted); err != nil {
				return fmt.Errorf("reading when the peers last ran, shard %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := make(map[peer.ID]state.LastBeat, len(ids))
	for _, some := range found {
		for id, last := range some {
			all[id] = last
		}
	}
	return all, nil
}

func (s *Store) readLastBeats(ctx context.Context, shard int, wanted map[string]peer.ID) (map[peer.ID]state.LastBeat, error) {
	out := make(map[peer.ID]state.LastBeat, len(wanted))
	rows := s.db.Rows(ctx, gocql.Quorum, beatsPage, scylla.Bind(selectLastBeats, shard))
	for {
		var key string
		var last state.LastBeat
		if !rows.Next(&key, &last.At, &last.Zone) {
			break
		}
		if id, ok := wanted[key]; ok && !last.At.IsZero() {
			out[id] = last
		}
	}
	return out, rows.Close()
}

// DatabaseTime implements state.Members.
func (s *Store) DatabaseTime() time.Time { return s.clock.database() }
