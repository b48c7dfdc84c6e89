package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/instrumented"
)

// measureMeasured compares a store that is measured, as a daemon has it measured that is not
// told otherwise, with one that is not: what is counted of requests, operations, conflicts and
// pins that were accepted, and the log of slow requests. No spans are sent, as by default.
func measureMeasured(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	both, err := openSides(ctx, srv, set, func(side int, conf *scyllastate.Config) {
		if side == 0 {
			conf.Metrics, conf.SlowQuery = scyllastate.NewMetrics(), time.Second
		}
	})
	defer func() { err = errors.Join(err, both.close()) }()
	if err != nil {
		return nil, err
	}
	counted := instrumented.New(both[0].store, instrumented.NewMetrics())
	accepted := sli.NewAcceptor(sli.AcceptorOptions{
		Metrics: sli.NewMetrics(), View: func() membership.View { return membership.View{} }, TTL: time.Minute,
	})
	of := func(l *load) []operation {
		if l == both[1] {
			return []operation{logPin(l.store), getPin(l.store)}
		}
		pin := logPin(counted)
		write := pin.store
		pin.store = func(ctx context.Context, s *sample) error {
			var rev state.Revision
			ctx = state.WithRevision(ctx, &rev)
			err := write(ctx, s)
			if err == nil {
				accepted.Accepted(s.pin, rev)
			}
			return err
		}
		return []operation{pin, getPin(counted)}
	}
	many := table{Title: fmt.Sprintf("A store that is measured, %d clients", set.Clients), Left: "measured", Right: "not",
		Note: fmt.Sprintf("New pins, %d rounds in turns. A ratio of throughput below 1 is what measuring costs; 0.97 is promised.", set.Rounds)}
	single := table{Title: "A store that is measured, 1 client", Left: "measured", Right: "not", Note: "The same."}
	if many.Rows, err = compareSides(ctx, "measured", both, set.Rounds, set.Clients, set.Ops, of); err != nil {
		return nil, err
	}
	if single.Rows, err = compareSides(ctx, "measured", both, set.Rounds, 1, set.SingleOps, of); err != nil {
		return nil, err
	}
	return []table{many, single}, nil
}

// getPin reads a pin that is there.
func getPin(st state.Store) operation {
	return operation{name: "Get", times: 4, store: func(ctx context.Context, s *sample) error {
		_, err := st.Get(ctx, s.pin.Cid)
		return err
	}}
}
