package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// measureMigrate compares a migration from the folder of a crdt peer on pebble
// with a bare driver loop that writes the same rows, and measures the whole
// command.
func measureMigrate(ctx context.Context, db *server, binary string, set settings) (tables []table, err error) {
	dir, err := os.MkdirTemp("", "ipfs-cluster-scylla-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary, err = filepath.Abs(binary); err != nil {
		return nil, fmt.Errorf("finding %s: %w", binary, err)
	}
	folder := filepath.Join(dir, "old")
	say("making the folder of a crdt peer with %d pins", set.Migrated)
	if err := makeFolder(ctx, binary, folder, set.Migrated); err != nil {
		return nil, err
	}
	paired, err := measureBulk(ctx, db, folder, set)
	if err != nil {
		return nil, err
	}
	whole, err := measureCommand(ctx, db, binary, dir, folder, set)
	if err != nil {
		return nil, err
	}
	return []table{paired, whole}, nil
}

// makeFolder makes the folder of a crdt peer, each of whose pins is on two peers.
func makeFolder(ctx context.Context, binary, folder string, pins int) error {
	env := append(os.Environ(), "CLUSTER_SECRET=")
	init := exec.CommandContext(ctx, binary, "--config", folder, "init", "--consensus", "crdt")
	init.Env = env
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("%s init: %w\n%s", binary, err, out)
	}
	holders, err := newPeers(peersInCluster)
	if err != nil {
		return err
	}
	read, write := io.Pipe()
	go func() { write.CloseWithError(writeExport(write, pins, holders)) }()
	load := exec.CommandContext(ctx, binary, "--config", folder, "--loglevel", "error", "state", "import", "--force")
	load.Env, load.Stdin = env, read
	out, err := load.CombinedOutput()
	if err := errors.Join(err, read.Close()); err != nil {
		return fmt.Errorf("%s state import: %w\n%s", binary, err, out)
	}
	return nil
}

// writeExport writes pins as state export does.
func writeExport(w io.Writer, pins int, holders []peer.ID) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	for i := range pins {
		s, err := newSample("migrated", i, holders[i%peersInCluster], holders[(i+1+i/peersInCluster%(peersInCluster-1))%peersInCluster])
		if err != nil {
			return err
		}
		if err := enc.Encode(s.pin); err != nil {
			return err
		}
	}
	return out.Flush()
}

// measureBulk runs parts of the migration and of the bare driver loop in turns,
// each in a keyspace of its own.
func measureBulk(ctx context.Context, db *server, folder string, set settings) (out table, err error) {
	out = table{
		Title: "Migration from a pebble folder: throughput", Left: "migrate", Right: "bare driver",
		Note: fmt.Sprintf("The same rows, %d pins a turn, each on two peers, %d rounds in turns. The bare loop has its rows in memory.",
			set.MigratedTurn, set.MigratedRounds),
	}
	src, err := source.Open(ctx, "crdt:"+folder, source.Options{})
	if err != nil {
		return out, fmt.Errorf("opening the folder: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	rate := row{Name: fmt.Sprintf("pins a second, %d a turn", set.MigratedTurn), Unit: "/s"}
	var from source.Position
	for round := range set.MigratedRounds {
		part := &partOf{Source: src, from: from, n: int64(set.MigratedTurn)}
		rows, err := part.rows(ctx)
		if err != nil {
			return out, err
		}
		for turn := range 2 {
			side := sideOfTurn(round, turn)
			took, err := timeBulk(ctx, db, part, rows, side)
			if err != nil {
				return out, err
			}
			rate.add(side, float64(len(rows.pins))/took.Seconds())
		}
		say("round %d: %s", round+1, rate.lastPair())
		from = part.end
	}
	out.Rows = []row{rate}
	return out, nil
}

// timeBulk writes a part in a new keyspace, by the migration or the bare loop.
func timeBulk(ctx context.Context, db *server, part *partOf, rows *bulkRows, side int) (took time.Duration, err error) {
	conf, err := db.config()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.drop()) }()
	var session *scylla.DB
	if session, err = db.session(ctx, conf); err != nil {
		return 0, err
	}
	defer session.Close()
	runtime.GC()
	if side == 1 {
		begin := time.Now()
		err := rows.write(ctx, session)
		return time.Since(begin), err
	}
	store, err := scyllastate.Open(ctx, conf)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	begin := time.Now()
	report, err := migrate.Run(ctx, part, store, migrate.Options{})
	took = time.Since(begin)
	if err == nil && (!report.Bulk || report.Copied != int64(len(rows.pins))) {
		err = fmt.Errorf("%d pins were copied, in bulk: %v; want %d", report.Copied, report.Bulk, len(rows.pins))
	}
	return took, err
}

// partOf is a part of a source.
type partOf struct {
	source.Source
	from, end source.Position
	n         int64
}

var errEnd = errors.New("the end of the part")

// Count implements source.Source.
func (p *partOf) Count(context.Context, func(int64)) (int64, error) { return p.n, nil }

// Read implements source.Source. It reads from the beginning of the part only.
func (p *partOf) Read(ctx context.Context, _ source.Position, f func(source.Record) error, bad func(source.Bad) error) error {
	err := p.Source.Read(ctx, p.from, func(r source.Record) error {
		if r.After.Records > p.from.Records+p.n {
			return errEnd
		}
		p.end = r.After
		return f(r)
	}, bad)
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

// measureCommand measures the whole commands.
func measureCommand(ctx context.Context, db *server, binary, dir, folder string, set settings) (table, error) {
	out := table{
		Title: fmt.Sprintf("migrate run and migrate verify of %d pins from a pebble folder", set.Migrated), Left: "run", Right: "verify",
		Note: "The whole command, with its start. Memory is the most that the process had.",
	}
	conf, err := db.config()
	if err != nil {
		return out, err
	}
	s, err := newService(ctx, binary, filepath.Join(dir, "new"), 9, conf, time.Minute)
	if err != nil {
		return out, err
	}
	defer s.close()
	took := row{Name: "time", Unit: "s"}
	memory := row{Name: "memory at most", Unit: "MiB"}
	rate := row{Name: "pins", Unit: "/s"}
	for side, what := range []string{"run", "verify"} {
		var text bytes.Buffer
		cmd := s.command(ctx, "migrate", what, "--from", "crdt:"+folder)
		cmd.Stdout, cmd.Stderr = &text, &text
		begin := time.Now()
		peak, err := runWatched(cmd)
		if err != nil {
			return out, fmt.Errorf("%s: %w\n%s", cmd, err, &text)
		}
		seconds := time.Since(begin).Seconds()
		took.add(side, seconds)
		rate.add(side, float64(set.Migrated)/seconds)
		memory.add(side, peak/(1<<20))
		say("migrate %s took %.0f s\n%s", what, seconds, &text)
	}
	out.Rows = []row{took, rate, memory}
	return out, nil
}

// runWatched runs a command to its end and returns the most memory that it was seen
// to have had. What the system says at the end has that of this process in it, from
// which the command was forked.
func runWatched(cmd *exec.Cmd) (peak float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-ticker.C:
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				continue // it has just ended
			}
			if most, err := statusField(text, "VmHWM:"); err == nil {
				peak = max(peak, most)
			}
		}
	}
}
