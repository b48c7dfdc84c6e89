package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

const (
	// missingAfter is how long after the last acknowledgement it is counted which
	// copies are missing, and how long a turn waits at most.
	missingAfter = 60 * time.Second
	// cpuAfter is how long after the last acknowledgement the processor time is
	// counted, on both sides: that of what is made or written later is left out.
	cpuAfter = 10 * time.Second
	// warmUp is the share of the pins with which a turn begins, unmeasured.
	warmUp = 10
	// warmUpTimeout bounds how long the copies of these are waited for.
	warmUpTimeout = 15 * time.Second
)

// measurePeers compares clusters of our peers with clusters of stock's with crdt, in
// turns: many clients pin one CID per request. Without a program of stock's ours run
// alone.
func measurePeers(ctx context.Context, db *server, binary, stock string, set settings) (tables []table, err error) {
	dir, err := os.MkdirTemp("", "ipfs-cluster-scylla-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m := &clusterBench{db: db, dir: dir, binaries: [2]string{binary, stock}, set: set}
	for _, host := range db.Hosts() {
		pid, err := listener(host, db.Port())
		if err != nil {
			say("the processor time of the database is not known: %s", err)
			m.engine = nil
			break
		}
		m.engine = append(m.engine, pid)
	}
	// A server that has just started compiles what it does most for its first thousands of requests.
	if _, err := m.turn(ctx, 0, 1, 1); err != nil {
		return nil, fmt.Errorf("warming the database up: %w", err)
	}
	for _, peers := range set.Peers {
		t, err := m.measure(ctx, peers)
		if err != nil {
			return nil, fmt.Errorf("with %d peers: %w", peers, err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// clusterBench is what measurePeers works on.
type clusterBench struct {
	db       *server
	dir      string
	binaries [2]string // ours, stock
	set      settings
	engine   []int // processes of the database, none if they are not known
	turns    int
}

// measure has turns of both sides with so many peers.
func (m *clusterBench) measure(ctx context.Context, peers int) (table, error) {
	replicas := min(peers, replicas)
	out := table{
		Title: fmt.Sprintf("Clusters of %d: %d copies of each pin", peers, replicas), Left: "ours", Right: "stock crdt",
		Note: fmt.Sprintf("%d pins by the REST API, %d clients, one pin a request, %d turns of each side after a warm-up. Processor time until %s after the last acknowledgement. IPFS is a stand-in in the process of the bench that pins at once.",
			m.set.ClusterPins, m.set.Clients, m.set.ClusterRounds, cpuAfter),
	}
	if len(m.engine) == 0 {
		out.Note += " The processor time of the database is not known: it does not run here."
	}
	rows := []row{
		{Name: "acknowledged", Unit: "pins/s"}, {Name: "all copies made after (60 s: not all)", Unit: "s"},
		{Name: fmt.Sprintf("copies missing %d s after the last", int(missingAfter.Seconds())), Unit: "%"},
		{Name: "processor time of the peers", Unit: "ms/pin"}, {Name: "processor time of the database", Unit: "ms/pin"},
		{Name: "of both", Unit: "ms/pin"}, {Name: "copies missing then", Unit: "%"}, {Name: "requests of the database", Unit: "a pin"},
	}
	for round := range m.set.ClusterRounds {
		for turn := range 2 {
			side := sideOfTurn(round, turn)
			if m.binaries[side] == "" {
				continue
			}
			got, err := m.turn(ctx, side, peers, replicas)
			if err != nil {
				return out, err
			}
			for i, v := range got {
				rows[i].add(side, v)
			}
			say("%d peers, %s: %.0f pins/s, all after %.1f s, missing %.2f %%, %.2f + %.2f ms, %.2f requests", peers, [2]string{out.Left, out.Right}[side], got[0], got[1], got[2], got[3], got[4], got[7])
		}
	}
	out.Rows = rows
	return out, nil
}

// turn runs one cluster, and returns a value for each row.
func (m *clusterBench) turn(ctx context.Context, side, peers, replicas int) (_ []float64, err error) {
	conf, err := m.db.config() // stock has of it the secret only
	if err != nil {
		return nil, err
	}
	env, args := m.backend(conf, side)
	dir := filepath.Join(m.dir, fmt.Sprintf("turn%d", m.turns))
	m.turns++
	c, err := startCluster(ctx, m.binaries[side], dir, peers, 0, env, args...)
	if err != nil {
		return nil, err
	}
	defer c.kill()
	var db *scylla.DB // stock's has none
	if side == 0 {
		if db, err = m.db.session(ctx, conf); err != nil {
			return nil, err
		}
		defer db.Close()
	}
	series := fmt.Sprintf("turn %d", m.turns)
	warm, err := newPinLoad(c, series+" warm-up", m.set.ClusterPins/warmUp, replicas)
	if err != nil {
		return nil, err
	}
	pins, err := newPinLoad(c, series, m.set.ClusterPins, replicas)
	if err != nil {
		return nil, err
	}
	if _, err := warm.send(ctx, m.set.Clients); err != nil {
		return nil, err
	}
	if _, err := warm.wait(ctx, warmUpTimeout); err != nil {
		return nil, err
	}
	profiles := m.profile(ctx, c, side, peers)
	var before, after used
	if before, err = m.used(ctx, c, db); err != nil {
		return nil, err
	}
	acknowledged, err := pins.send(ctx, m.set.Clients)
	if err != nil {
		return nil, err
	}
	var g errgroup.Group
	var made made
	var missing float64
	g.Go(func() (err error) {
		made, err = pins.wait(ctx, missingAfter)
		return err
	})
	g.Go(func() (err error) {
		select {
		case <-time.After(cpuAfter):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		missing = pins.missing()
		after, err = m.used(ctx, c, db)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	n := float64(m.set.ClusterPins)
	own, engine := 1000*(after.peers-before.peers)/n, 1000*(after.engine-before.engine)/n
	return []float64{acknowledged, made.took.Seconds(), 100 * made.missing, own, engine, own + engine, 100 * missing, (after.requests - before.requests) / n},
		errors.Join(profiles(), c.stop())
}

// backend is what tells a service of one side where its pinset is.
func (m *clusterBench) backend(conf *scyllastate.Config, side int) (env map[string]string, args []string) {
	env, args = sharedEnv(conf, time.Hour), []string{"--state", "scylla"}
	env["IPFS_CLUSTER_LOG_LEVEL"] = "info" // the default of both
	if side == 1 {
		args = []string{"--consensus", "crdt"}
	}
	if m.set.Profiles != "" {
		env["CLUSTER_METRICS_ENABLESTATS"] = "true" // with it come the profiles
	}
	return env, args
}

// used is what a cluster has used so far: processor time in seconds, and requests of
// the database. Stock uses none.
type used struct{ peers, engine, requests float64 }

func (m *clusterBench) used(ctx context.Context, c *cluster, db *scylla.DB) (out used, err error) {
	if out.peers, err = c.cpu(); err != nil || db == nil {
		return out, err
	}
	for _, pid := range m.engine {
		of, err := processCPU(pid)
		if err != nil {
			return out, err
		}
		out.engine += of
	}
	n, err := requests(ctx, db)
	out.requests = float64(n)
	return out, err
}
