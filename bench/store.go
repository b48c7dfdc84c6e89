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
	"golang.org/x/sys/unix"

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
	many := table{Title: fmt.Sprintf("Store operations, %d clients: throughput", set.Clients), Left: "store", Right: "bare driver",
		Note: fmt.Sprintf("Same statements, same tables, %d rounds in turns. A ratio below 1 is what the store costs.", set.Rounds)}
	single := table{Title: "Store operations, 1 client: median latency", Left: "store", Right: "bare driver",
		Note: fmt.Sprintf("The same, %d rounds. A ratio above 1 is what the store costs.", set.Rounds), Rows: []row{list}}
	client := table{Title: fmt.Sprintf("Processor time of the client per operation, %d clients", set.Clients), Left: "store", Right: "bare driver",
		Note: "The work of the driver is on both sides. Other load on the machine changes it least."}
	counts := table{Title: fmt.Sprintf("Requests per operation, %d clients", set.Clients), Left: "store", Right: "bare driver",
		Note: "As the server counts them. Feed rows that wait for one feed at the same moment share a request."}
	countsSingle := table{Title: "Requests per operation, 1 client", Left: "store", Right: "bare driver", Note: "As the server counts them."}
	got, err := l.measure(ctx, set.Clients, set.Ops)
	if err != nil {
		return nil, err
	}
	many.Rows, client.Rows, counts.Rows = got.rate, got.cpu, got.requests
	if got, err = l.measure(ctx, 1, set.SingleOps); err != nil {
		return nil, err
	}
	single.Rows, countsSingle.Rows = append(single.Rows, got.latency...), got.requests
	tables = []table{many, client, single}
	if l.db.Dialect.Engine == scylla.Cassandra {
		tables = append(tables, counts, countsSingle)
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
			n, err := lists[side](ctx)
			if err != nil {
				return row{}, err
			}
			if n != l.set.Listed {
				return row{}, fmt.Errorf("a listing has %d pins, want %d", n, l.set.Listed)
			}
			if took := time.Since(begin); round >= 0 {
				out.add(side, took.Seconds()*1000)
			}
		}
	}
	say("List: done")
	return out, nil
}

// measured has a row for each operation.
type measured struct {
	rate, latency, cpu []row
	// requests means nothing on an engine that does not count them.
	requests []row
}

// measure makes all operations with a number of clients, round after round.
func (l *load) measure(ctx context.Context, clients, pins int) (out measured, err error) {
	ops := operations(l.store, l.raw)
	for _, op := range ops {
		out.rate = append(out.rate, row{Name: op.name, Unit: "ops/s"})
		out.latency = append(out.latency, row{Name: op.name, Unit: "ms"})
		out.cpu = append(out.cpu, row{Name: op.name, Unit: "µs"})
		out.requests = append(out.requests, row{Name: op.name, Unit: "requests"})
	}
	for round := -1; round < l.set.Rounds; round++ { // the first warms up
		var own [2][]*sample
		for side := range own {
			if own[side], err = l.samples(pins); err != nil {
				return measured{}, err
			}
		}
		for i, op := range ops {
			for turn := range own {
				side := sideOfTurn(round+1+i, turn)
				got, err := l.turn(ctx, op, side, clients, own[side])
				if err != nil {
					return measured{}, fmt.Errorf("%s: %w", op.name, err)
				}
				if round < 0 {
					continue
				}
				out.rate[i].add(side, got.rate)
				out.latency[i].add(side, got.latency)
				out.cpu[i].add(side, got.cpu)
				out.requests[i].add(side, got.requests)
			}
		}
		if (round+1)%5 == 0 {
			say("operations, clients %d: round %d of %d", clients, round+1, l.set.Rounds)
		}
	}
	return out, nil
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
	cpu      float64 // of this process per operation, in µs
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
	cpuBefore, err := ownCPU()
	if err != nil {
		return outcome{}, err
	}
	took, each, err := drive(ctx, clients, pins, op.times, call)
	if err != nil {
		return outcome{}, err
	}
	cpuAfter, err := ownCPU()
	if err != nil {
		return outcome{}, err
	}
	after, err := requests(ctx, l.db)
	if err != nil {
		return outcome{}, err
	}
	n := float64(len(each))
	// Each node was asked once in between.
	sent := float64(after - before - int64(l.db.Shards()))
	return outcome{
		rate: n / took.Seconds(), latency: median(each),
		cpu: float64((cpuAfter - cpuBefore).Microseconds()) / n, requests: sent / n,
	}, nil
}

// ownCPU is the processor time that this process has used.
func ownCPU() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
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
