package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

const (
	// calm is how many recover intervals a daemon runs before it is measured at rest,
	// and watched how many that takes.
	calm, watched = 2, 2
)

// measurePeer compares a daemon on a full keyspace with one on an empty one.
func measurePeer(ctx context.Context, db *server, binary string, set settings) (tables []table, err error) {
	dir, err := os.MkdirTemp("", "ipfs-cluster-scylla-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var services [2]*service // full, empty
	for i, pins := range [2]int{set.Pins, 0} {
		conf, err := db.config()
		if err != nil {
			return nil, err
		}
		if err := prepare(ctx, db, conf, pins); err != nil {
			return nil, err
		}
		services[i], err = newService(ctx, binary, filepath.Join(dir, conf.Keyspace), i, conf, set.RecoverEvery)
		if err != nil {
			return nil, err
		}
		defer services[i].close()
	}
	full, empty := fmt.Sprintf("%d pins", set.Pins), "0 pins"
	ready := table{
		Title: "Readiness of the daemon, pins allocated to another peer", Left: full, Right: empty,
		Note: fmt.Sprintf("From the start of the process, %d starts each in turns. IPFS is upstream's mock.", set.Starts),
	}
	if ready.Rows, err = measureReadiness(ctx, services, set.Starts); err != nil {
		return nil, err
	}
	memory := table{
		Title: fmt.Sprintf("The same daemons at rest, %s after READY", calm*set.RecoverEvery), Left: full, Right: empty,
		Note: fmt.Sprintf("pin_recover_interval %s, %d runs of both side by side; memory and processor time of %s.", set.RecoverEvery, set.MemoryRuns, watched*set.RecoverEvery),
	}
	if memory.Rows, err = measureMemory(ctx, services, set); err != nil {
		return nil, err
	}
	return []table{ready, memory}, nil
}

// prepare makes the keyspace, fills it, and looks whether the store reads
// what was written.
func prepare(ctx context.Context, db *server, conf *scyllastate.Config, pins int) error {
	session, err := db.session(ctx, conf)
	if err != nil {
		return err
	}
	defer session.Close()
	if pins == 0 {
		return nil
	}
	say("writing %d pins of another peer straight into the tables", pins)
	other, err := newPeers(1)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := fill(ctx, session, "full", pins, other...); err != nil {
		return err
	}
	took := time.Since(begin)
	store, err := scyllastate.Open(ctx, conf)
	if err != nil {
		return err
	}
	n, err := listStore(ctx, store)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	if n != pins {
		return fmt.Errorf("the store lists %d pins, %d were written", n, pins)
	}
	say("written in %s, and listed by the store", took.Round(100*time.Millisecond))
	return nil
}

// listStore counts the pins that Store.List sends.
func listStore(ctx context.Context, store *scyllastate.Store) (int, error) {
	out := make(chan api.Pin, 1024)
	failed := make(chan error, 1)
	go func() { failed <- store.List(ctx, out) }()
	n := 0
	for range out {
		n++
	}
	return n, <-failed
}

func measureReadiness(ctx context.Context, services [2]*service, starts int) ([]row, error) {
	accepted := row{Name: "first pin accepted by the REST API", Unit: "s"}
	ready := row{Name: "log says READY", Unit: "s"}
	for i := range 2 * starts {
		side := sideOfTurn(i/2, i%2)
		s, err := newSample("first", i)
		if err != nil {
			return nil, err
		}
		s.pin.ReplicationFactorMin, s.pin.ReplicationFactorMax = -1, -1
		pinned, logged, err := startOnce(ctx, services[side], s.pin.Cid)
		if err != nil {
			return nil, err
		}
		accepted.add(side, pinned.Seconds())
		ready.add(side, logged.Seconds())
		if i%2 == 1 {
			say("start %d of %d: %s", i/2+1, starts, accepted.lastPair())
		}
	}
	return []row{accepted, ready}, nil
}

func startOnce(ctx context.Context, s *service, c api.Cid) (pinned, ready time.Duration, err error) {
	d, err := s.start(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer d.Kill()
	if pinned, err = d.firstPin(ctx, c); err != nil {
		return 0, 0, err
	}
	if ready, err = d.ready(ctx); err != nil {
		return 0, 0, err
	}
	return pinned, ready, d.stop()
}

func measureMemory(ctx context.Context, services [2]*service, set settings) ([]row, error) {
	rss := row{Name: "resident memory", Unit: "MB"}
	peak := row{Name: "peak of resident memory", Unit: "MB"}
	cpu := row{Name: "processor time per interval", Unit: "s"}
	for i := range set.MemoryRuns {
		say("memory, run %d of %d, takes about %s", i+1, set.MemoryRuns, ((calm + watched) * set.RecoverEvery).Round(time.Second))
		var rests [2]rest
		g, gctx := errgroup.WithContext(ctx)
		for side := range rests {
			g.Go(func() (err error) {
				rests[side], err = atRest(gctx, services[side], set.RecoverEvery)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		for side, r := range rests {
			rss.add(side, r.rss/1e6)
			peak.add(side, r.peak/1e6)
			cpu.add(side, r.cpu)
		}
		say("memory: %s", rss.lastPair())
	}
	return []row{rss, peak, cpu}, nil
}

// rest is what a daemon uses that has nothing to do.
type rest struct {
	rss, peak float64 // bytes
	cpu       float64 // seconds per recover interval
}

// sampleEvery is how often the memory is read.
const sampleEvery = 100 * time.Millisecond

func atRest(ctx context.Context, s *service, interval time.Duration) (rest, error) {
	d, err := s.start(ctx)
	if err != nil {
		return rest{}, err
	}
	defer d.Kill()
	if _, err := d.ready(ctx); err != nil {
		return rest{}, err
	}
	if err := d.wait(ctx, time.After(calm*interval)); err != nil {
		return rest{}, err
	}
	before, err := d.cpu()
	if err != nil {
		return rest{}, err
	}
	var out rest
	var samples []float64
	for began := time.Now(); time.Since(began) < watched*interval; {
		var now float64
		if now, out.peak, err = d.memory(); err != nil {
			return rest{}, err
		}
		samples = append(samples, now)
		if err := d.wait(ctx, time.After(sampleEvery)); err != nil {
			return rest{}, err
		}
	}
	after, err := d.cpu()
	if err != nil {
		return rest{}, err
	}
	out.rss, out.cpu = median(samples), (after-before)/watched
	return out, d.stop()
}
