package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// load is what measureStore works on.
type load struct {
	set     settings
	db      *scylla.DB
	store   *scyllastate.Store
	raw     *raw
	holders []peer.ID
	made    int // pins
}

// measureStore compares the store with the bare driver loop. Both use one
// keyspace and a session each, and never the same pin.
func measureStore(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the writers of raw
	defer cancel()
	conf, err := srv.config()
	if err != nil {
		return nil, err
	}
	l := &load{set: set}
	if l.db, err = srv.session(ctx, conf); err != nil {
		return nil, err
	}
	defer l.db.Close()
	if l.store, err = scyllastate.Open(ctx, conf); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.store.Close()) }()
	if l.holders, err = newPeers(peersInCluster); err != nil {
		return nil, err
	}
	var feeds []string
	for _, h := range l.holders {
		feeds = append(feeds, h.String())
	}
	l.raw = newRaw(ctx, l.db, conf.UnpinGrace, set.Clients, feeds)

	say("writing %d pins to list", set.Listed)
	if err := fill(ctx, l.db, "listed", set.Listed, l.holders[:replicas]...); err != nil {
		return nil, err
	}
	list, err := l.measureList(ctx)
	if err != nil {
		return nil, err
	}
	note := "Both sides in turns on the same tables, %d rounds. The store's ratio is what it costs."
	many := table{Title: fmt.Sprintf("Store operations, %d clients", set.Clients), Left: "store", Right: "bare driver",
		Note: fmt.Sprintf("Throughput, below 1 means that the store is slower. "+note, set.Rounds)}
	counts := table{Title: "Requests per operation at the server, as it counts them", Left: "store", Right: "bare driver",
		Note: fmt.Sprintf("%d clients; feed rows that wait for one feed at the same moment share a request.", set.Clients)}
	single := table{Title: "Store operations, 1 client", Left: "store", Right: "bare driver",
		Note: fmt.Sprintf("Median latency, above 1 means that the store is slower. "+note, set.Rounds), Rows: []row{list}}
	if many.Rows, counts.Rows, err = l.measure(ctx, set.Clients, set.Ops); err != nil {
		return nil, err
	}
	rows, countsSingle, err := l.measure(ctx, 1, set.SingleOps)
	if err != nil {
		return nil, err
	}
	single.Rows = append(single.Rows, rows...)
	tables = []table{many, single}
	if len(counts.Rows) > 0 {
		countsOfOne := counts
		countsOfOne.Note, countsOfOne.Rows = "1 client.", countsSingle
		tables = append(tables, counts, countsOfOne)
	}
	return tables, nil
}

func (l *load) measureList(ctx context.Context) (row, error) {
	out := row{Name: fmt.Sprintf("List of %d pins", l.set.Listed), Unit: "ms"}
	lists := [2]func(context.Context) (int, error){
		func(ctx context.Context) (int, error) { return listStore(ctx, l.store) },
		l.raw.list,
	}
	for round := -1; round < l.set.Rounds; round++ { // the first warms up
		for turn := range lists {
			side := sideOfTurn(round+1, turn)
			runtime.GC()
			begin := time.Now()
			for range l.set.ListTurns {
				n, err := lists[side](ctx)
				if err != nil {
					return row{}, err
				}
				if n != l.set.Listed {
					return row{}, fmt.Errorf("a listing has %d pins, want %d", n, l.set.Listed)
				}
			}
			if took := time.Since(begin); round >= 0 {
				out.add(side, took.Seconds()*1000/float64(l.set.ListTurns))
			}
		}
	}
	say("List: %s", out.lastPair())
	return out, nil
}

// measure makes all operations with a number of clients, round after round.
// counts is empty on an engine that does not count requests.
func (l *load) measure(ctx context.Context, clients, pins int) (rows, counts []row, err error) {
	ops := operations(l.store, l.raw)
	rows, counts = make([]row, len(ops)), make([]row, len(ops))
	for i, op := range ops {
		rows[i] = row{Name: op.name, Unit: "ops/s"}
		if clients == 1 {
			rows[i].Unit = "ms"
		}
		counts[i] = row{Name: op.name, Unit: "requests"}
	}
	for round := -1; round < l.set.Rounds; round++ { // the first warms up
		var own [2][]*sample
		for side := range own {
			if own[side], err = l.samples(pins); err != nil {
				return nil, nil, err
			}
		}
		for i, op := range ops {
			for turn := range own {
				side := sideOfTurn(round+1+i, turn)
				got, err := l.turn(ctx, op, side, clients, own[side])
				if err != nil {
					return nil, nil, fmt.Errorf("%s: %w", op.name, err)
				}
				if round < 0 {
					continue
				}
				if clients == 1 {
					rows[i].add(side, got.latency)
				} else {
					rows[i].add(side, got.rate)
				}
				counts[i].add(side, got.requests)
			}
		}
		say("%d clients, round %d of %d", clients, round+1, l.set.Rounds)
	}
	if l.db.Dialect.Engine != scylla.Cassandra {
		counts = nil
	}
	return rows, counts, nil
}

// samples makes pins that nobody has used, on two peers each.
func (l *load) samples(n int) ([]*sample, error) {
	out := make([]*sample, n)
	for i := range out {
		l.made++
		first := l.made % peersInCluster
		second := (first + 1 + l.made/peersInCluster%(peersInCluster-1)) % peersInCluster
		var err error
		if out[i], err = newSample("op", l.made, l.holders[first], l.holders[second]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// outcome is what one turn gave.
type outcome struct {
	rate     float64 // operations per second
	latency  float64 // median, in ms
	requests float64 // per operation
}

func (l *load) turn(ctx context.Context, op operation, side, clients int, pins []*sample) (outcome, error) {
	if op.before != nil {
		if _, _, err := drive(ctx, l.set.Clients, pins, 1, op.before); err != nil {
			return outcome{}, err
		}
	}
	call := [2]func(context.Context, *sample) error{op.store, op.raw}[side]
	runtime.GC() // what the other side left is not to be cleaned up now
	before, err := requests(ctx, l.db)
	if err != nil {
		return outcome{}, err
	}
	took, each, err := drive(ctx, clients, pins, op.times, call)
	if err != nil {
		return outcome{}, err
	}
	after, err := requests(ctx, l.db)
	if err != nil {
		return outcome{}, err
	}
	n := float64(len(each))
	// Each node was asked once in between.
	sent := float64(after - before - int64(l.db.Nodes))
	return outcome{rate: n / took.Seconds(), latency: median(each), requests: sent / n}, nil
}

// drive calls f for every pin, so many times over, from a number of clients.
// It returns how long all of it took, and each call in ms.
func drive(ctx context.Context, clients int, pins []*sample, times int, f func(context.Context, *sample) error) (time.Duration, []float64, error) {
	each := make([]float64, len(pins)*times)
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for range clients {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(each) {
					return nil
				}
				start := time.Now()
				if err := f(ctx, pins[i%len(pins)]); err != nil {
					return err
				}
				each[i] = time.Since(start).Seconds() * 1000
			}
		})
	}
	err := g.Wait()
	return time.Since(begin), each, err
}
