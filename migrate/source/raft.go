package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/snapshot"
)

// raftSource is the pins of a raft peer: the newest snapshot of the pinset, and
// over it what the log says after that.
type raftSource struct {
	folder   *folder
	snapshot *raftSnapshot // nil if there is none
	log      *raftLog
	warnings []string
}

func openRaft(name string) (Source, error) {
	f, err := openFolder("raft", name)
	if err != nil {
		return nil, err
	}
	s := &raftSource{folder: f}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return s, nil
}

func (s *raftSource) open() error {
	var config struct {
		Folder string `json:"data_folder"`
	}
	if err := section(s.folder.consensus["raft"], "consensus.raft", &config); err != nil {
		return err
	}
	if config.Folder == "" {
		config.Folder = "raft"
	}
	where := s.folder.inFolder(config.Folder)
	if _, err := os.Stat(where); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its raft folder %s does not exist: the peer has never been started, or keeps it elsewhere", where)
	}
	var err error
	if s.snapshot, s.warnings, err = newestSnapshot(filepath.Join(where, "snapshots")); err != nil {
		return err
	}
	var covered uint64
	if s.snapshot != nil {
		covered = s.snapshot.meta.Index
	}
	if s.log, err = readRaftLog(filepath.Join(where, "raft.db"), covered); err != nil {
		return err
	}
	if s.snapshot == nil && s.log.last == 0 {
		return fmt.Errorf("the raft folder %s holds no pins: it has neither a snapshot nor a log", where)
	}
	if s.log.absent {
		s.warnings = append(s.warnings, fmt.Sprintf("the peer in %s has a snapshot and no log: changes after the snapshot are missing if its raft.db was removed or not copied. A peer that never ran after `state import` has none", s.folder.path))
	}
	if n := s.log.commands; n > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("the log of the peer in %s has %d changes after its last snapshot, from index %d to %d. They are taken as made, but if the peer was cut off from the others the last ones may not be. To be sure, start all peers and shut all of them down cleanly: each writes a snapshot then", s.folder.path, n, s.log.firstCommand, s.log.last))
	}
	return nil
}

func (s *raftSource) ID() string         { return "raft:" + s.folder.path }
func (s *raftSource) Warnings() []string { return s.warnings }
func (s *raftSource) MayLack() bool      { return s.log.absent }
func (s *raftSource) ReadOnce() bool     { return false }
func (s *raftSource) Close() error       { return s.folder.close() }

// Fingerprint names the last change that the peer has.
func (s *raftSource) Fingerprint() string {
	id, sum := "none", []byte(nil)
	if s.snapshot != nil {
		id, sum = s.snapshot.meta.ID, s.snapshot.meta.CRC
	}
	return fmt.Sprintf("snapshot %s %x log %d term %d", id, sum, s.log.last, s.log.term)
}

// Count reads the snapshot as a whole, but nothing is decoded except its keys.
func (s *raftSource) Count(ctx context.Context, progress func(int64)) (int64, error) {
	var n int64
	err := s.each(ctx, func(api.Cid, []byte) error {
		if n++; n%progressEvery == 0 {
			progress(n)
		}
		return nil
	}, func(string, error) error { n++; return nil })
	return n, err
}

func (s *raftSource) Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	var n int64
	return s.each(ctx, func(c api.Cid, value []byte) error {
		if n++; n <= from.Records {
			return nil
		}
		return f(Record{Cid: c, Value: value, After: Position{Records: n}})
	}, func(at string, err error) error {
		if n++; n <= from.Records {
			return nil
		}
		return bad(Bad{At: at, Err: err, After: Position{Records: n}})
	})
}

// each calls f for every pin and bad for every entry of the snapshot that is
// none, in the order of the snapshot; pins that are only in the log come last,
// in the order of their CIDs.
func (s *raftSource) each(ctx context.Context, f func(api.Cid, []byte) error, bad func(at string, err error) error) error {
	inSnapshot := make(map[string]bool)
	if s.snapshot != nil {
		err := s.snapshot.read(func(e snapshot.Entry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			c, err := e.Cid()
			if err != nil {
				return bad(readable([]byte(e.Key)), err)
			}
			value, changed := s.log.values[c.KeyString()]
			if changed {
				inSnapshot[c.KeyString()] = true
			} else {
				value = e.Value
			}
			switch {
			case changed && value == nil:
				return nil // unpinned
			case len(value) == 0:
				return bad(readable([]byte(e.Key)), errors.New("its value is empty"))
			}
			return f(c, value)
		})
		if err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.log.values)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		value := s.log.values[key]
		if value == nil || inSnapshot[key] {
			continue
		}
		c, err := api.CastCid([]byte(key))
		if err != nil {
			return fmt.Errorf("a pin of the raft log: %w", err)
		}
		if err := f(c, value); err != nil {
			return err
		}
	}
	return nil
}
