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
	both, err := openSides(ctx, srv, set, func(int, *scyllastate.Config) {})
	defer func() { err = errors.Join(err, both.close()) }()
	if err != nil {
		return nil, err
	}
	if err := both[0].store.StartEvents(ctx); err != nil {
		return nil, err
	}
	many := table{Title: fmt.Sprintf("LogPin with events, %d clients", set.Clients), Left: "events on", Right: "off",
		Note: fmt.Sprintf("New pins, %d rounds in turns. A ratio of throughput below 1 is what events cost; 0.9 is promised.", set.Rounds)}
	single := table{Title: "LogPin with events, 1 client", Left: "events on", Right: "off", Note: "The same."}
	logPins := func(l *load) []operation { return []operation{logPin(l.store)} }
	if many.Rows, err = compareSides(ctx, "LogPin with events", both, set.Rounds, set.Clients, set.Ops, logPins); err != nil {
		return nil, err
	}
	if single.Rows, err = compareSides(ctx, "LogPin with events", both, set.Rounds, 1, set.SingleOps, logPins); err != nil {
		return nil, err
	}
	return []table{many, single}, nil
}

// compareSides calls the operations on pins of both sides with a number of clients, round
// after round.
func compareSides(ctx context.Context, what string, both sides, rounds, clients, pins int, of func(*load) []operation) ([]row, error) {
	var rows []row
	for _, op := range of(both[0]) {
		rows = append(rows, row{Name: op.name, Unit: "ops/s"}, row{Name: op.name + ", median", Unit: "ms"},
			row{Name: op.name + ", processor time of the client", Unit: "µs"}, row{Name: op.name + ", requests", Unit: "requests"})
	}
	for round := -1; round < rounds; round++ { // the first warms up
		for turn := range both {
			side := sideOfTurn(round+1, turn)
			l := both[side]
			samples, err := l.samples(pins)
			if err != nil {
				return nil, err
			}
			for i, op := range of(l) {
				got, err := l.turn(ctx, op, 0, clients, samples)
				if err != nil {
					return nil, err
				}
				if round < 0 {
					continue
				}
				rows[4*i].add(side, got.rate)
				rows[4*i+1].add(side, got.latency)
				rows[4*i+2].add(side, got.cpu)
				rows[4*i+3].add(side, got.requests)
			}
		}
	}
	say("%s, clients %d: done", what, clients)
	return rows, nil
}

// updating is a store as LogPin needs it.
type updating interface {
	state.Store
	state.Updater
}

// logPin is the write of LogPin, for a pin that Cluster.Pin has looked for before.
func logPin(st updating) operation {
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
