// Command bench measures the promises that are about speed, on a real CQL
// server (see internal/cqltest/engine), and prints them side by side:
//
//   - The real ipfs-cluster-service, on a keyspace without pins and on one
//     full of pins that another peer holds: the time until it accepts its
//     first pin, and its memory after two recover intervals.
//   - Each operation of the store, beside a bare driver loop that sends the
//     very same statements.
//   - The write of a pin in a keyspace with events beside one without.
//   - Clusters of peers beside clusters of stock's with crdt: pins by the REST API,
//     how fast they are acknowledged and made, and what of the processors they take.
//   - What a peer that holds many pins needs to list them and to compare them with
//     IPFS.
//   - How late pins are removed that run out at a high rate.
//   - How fast a relay tells events, beside a bare publisher, and how soon a peer is
//     woken for a pin.
//   - What the gateway adds to a request at 1,000 a second, and pages of a tenant with
//     many pins beside one with few.
//   - How fast events of claims are counted, beside a bare driver loop that writes the same
//     rows.
//   - A migration from the folder of a crdt peer, beside a bare driver loop
//     that writes the same rows, its memory, and how long its check takes.
//
// Every comparison is made in turns, and what is shown are medians. It names
// the engine it ran on: figures of Cassandra say nothing about ScyllaDB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// settings are the sizes of a run. All of them are in the report.
type settings struct {
	Pins         int           // in the full keyspace
	Starts       int           // of each daemon
	MemoryRuns   int           // of both daemons
	RecoverEvery time.Duration // pin_recover_interval of the daemons
	Rounds       int           // of every operation, with a short turn of each side
	Ops          int           // of a turn with many clients
	SingleOps    int           // of a turn with one client
	Clients      int           // when they are many
	Listed       int           // pins that a List returns
	Expiring     time.Duration // for which pins run out

	Peers         []int // sizes of the clusters
	ClusterPins   int   // of a turn
	ClusterRounds int
	Profiles      string // folder, none if it is empty
	Own           int    // pins of the one peer that lists them

	Migrated       int // pins in the folder that is migrated
	MigratedTurn   int // of a turn beside the bare driver
	MigratedRounds int

	Told       int // events of a turn
	TellRounds int
	Woken      int // pins of which a peer is woken

	Asked       int           // requests of the gateway in a second
	AskedTurn   time.Duration // of each side
	AskedRounds int
	Many, Few   int // pins of the tenants that list them
	PageRounds  int

	Counted     int // events of a turn
	CountRounds int
}

func defaults() settings {
	return settings{
		Pins: 100_000, Starts: 10, MemoryRuns: 2, RecoverEvery: 15 * time.Second,
		Rounds: 30, Ops: 640, SingleOps: 60, Clients: 64, Listed: 20_000, Expiring: 5 * time.Minute,
		Peers: []int{1, 4, 8}, ClusterPins: 3000, ClusterRounds: 1, Own: 300_000,
		Migrated: 1_000_000, MigratedTurn: 1 << 17, MigratedRounds: 5,
		Told: 10_000, TellRounds: 5, Woken: 500,
		Asked: 1000, AskedTurn: 3 * time.Second, AskedRounds: 10, Many: 1_000_000, Few: 10_000, PageRounds: 20,
		Counted: 3 * 768, CountRounds: 7,
	}
}

// quick are sizes that show that the program works and nothing else.
func quick() settings {
	return settings{
		Pins: 2000, Starts: 1, MemoryRuns: 1, RecoverEvery: 2 * time.Second,
		Rounds: 2, Ops: 200, SingleOps: 20, Clients: 64, Listed: 2000, Expiring: 5 * time.Second,
		Peers: []int{1, 2}, ClusterPins: 200, ClusterRounds: 1, Own: 5000,
		Migrated: 10_000, MigratedTurn: 4000, MigratedRounds: 2,
		Told: 1000, TellRounds: 2, Woken: 20,
		Asked: 100, AskedTurn: 500 * time.Millisecond, AskedRounds: 2, Many: 30_000, Few: 2000, PageRounds: 2,
		Counted: 768, CountRounds: 2,
	}
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("stopped by a signal: %w", err)
	}
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	c, err := parse(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	set := c.set

	db, err := openServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	report := report{
		Engine: db.Name(), Started: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(),
		Go: runtime.Version(), Quick: c.quick, Settings: set,
	}
	say("measuring on %s", db.Name())
	for _, part := range []struct {
		name    string
		measure func() ([]table, error)
	}{
		{"peer", func() ([]table, error) { return measurePeer(ctx, db, c.service, set) }},
		{"peers", func() ([]table, error) { return measurePeers(ctx, db, c.service, c.stock, set) }},
		{"own", func() ([]table, error) { return measureOwn(ctx, db, set) }},
		{"store", func() ([]table, error) { return measureStore(ctx, db, set) }},
		{"measured", func() ([]table, error) { return measureMeasured(ctx, db, set) }},
		{"events", func() ([]table, error) { return measureEvents(ctx, db, set) }},
		{"migrate", func() ([]table, error) { return measureMigrate(ctx, db, c.service, set) }},
		{"relay", func() ([]table, error) { return measureRelay(ctx, db, set) }},
		{"wake", func() ([]table, error) { return measureWake(ctx, db, set) }},
		{"gateway", func() ([]table, error) { return measureGateway(ctx, db, set) }},
		{"ingest", func() ([]table, error) { return measureIngest(ctx, db, set) }},
		{"expiry", func() ([]table, error) { return measureExpiry(ctx, db, set) }},
	} {
		if c.only != "" && c.only != part.name {
			continue
		}
		tables, err := part.measure()
		if err != nil {
			return fmt.Errorf("measuring the %s: %w", part.name, err)
		}
		report.Tables = append(report.Tables, tables...)
	}
	report.TookSeconds = time.Since(report.Started).Seconds()
	if err := report.save(c.out); err != nil {
		return err
	}
	say("the report as JSON is in %s", c.out)
	return report.print(stdout)
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
