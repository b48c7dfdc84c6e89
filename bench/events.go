package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// measureEvents compares a store whose keyspace has events with one that has none, by the
// write that LogPin makes: with events a row more goes with it, to one of 16 feeds.
func measureEvents(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	holders, err := newPeers(peersInCluster)
	if err != nil {
		return nil, err
	}
	var sides [2]*load
	for side := range sides {
		conf, err := srv.config()
		if err != nil {
			return nil, err
		}
		l := &load{set: set, holders: holders}
		if l.store, err = scyllastate.Open(ctx, conf); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, l.store.Close()) }()
		if side == 0 {
			if err := l.store.StartEvents(ctx); err != nil {
				return nil, err
			}
		}
		if l.db, err = srv.session(ctx, conf); err != nil { // asks how many requests there were
			return nil, err
		}
		defer l.db.Close()
		sides[side] = l
	}
	many := table{Title: fmt.Sprintf("LogPin with events, %d clients", set.Clients), Left: "events on", Right: "off",
		Note: fmt.Sprintf("New pins, %d rounds in turns. A ratio of throughput below 1 is what events cost; 0.9 is promised.", set.Rounds)}
	single := table{Title: "LogPin with events, 1 client", Left: "events on", Right: "off", Note: "The same."}
	if many.Rows, err = compareEvents(ctx, sides, set.Rounds, set.Clients, set.Ops); err != nil {
		return nil, err
	}
	if single.Rows, err = compareEvents(ctx, sides, set.Rounds, 1, set.SingleOps); err != nil {
		return nil, err
	}
	return []table{many, single}, nil
}

// compareEvents makes pins on both sides with a number of clients, round after round.
func compareEvents(ctx context.Context, sides [2]*load, rounds, clients, pins int) ([]row, error) {
	rate, latency := row{Name: "LogPin", Unit: "ops/s"}, row{Name: "LogPin, median", Unit: "ms"}
	cpu, sent := row{Name: "LogPin, processor time of the client", Unit: "µs"}, row{Name: "LogPin, requests", Unit: "requests"}
	for round := -1; round < rounds; round++ { // the first warms up
		for turn := range sides {
			side := sideOfTurn(round+1, turn)
			l := sides[side]
			samples, err := l.samples(pins)
			if err != nil {
				return nil, err
			}
			got, err := l.turn(ctx, logPin(l.store), 0, clients, samples)
			if err != nil {
				return nil, err
			}
			if round < 0 {
				continue
			}
			rate.add(side, got.rate)
			latency.add(side, got.latency)
			cpu.add(side, got.cpu)
			sent.add(side, got.requests)
		}
	}
	say("LogPin with events, clients %d: done", clients)
	return []row{rate, latency, cpu, sent}, nil
}

// logPin is the write of LogPin, for a pin that Cluster.Pin has looked for before.
func logPin(st *scyllastate.Store) operation {
	return operation{name: "LogPin", times: 1,
		store: func(ctx context.Context, s *sample) error {
			return st.Update(ctx, s.pin.Cid, func(*api.Pin) (*api.Pin, error) { return &s.pin, nil })
		},
		before: func(ctx context.Context, s *sample) error {
			if _, err := st.Get(ctx, s.pin.Cid); !errors.Is(err, state.ErrNotFound) {
				return fmt.Errorf("reading a pin that is not there: %w", err)
			}
			return nil
		}}
}
