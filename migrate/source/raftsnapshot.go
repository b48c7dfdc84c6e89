package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/snapshot"
)

// snapshotMeta is what hashicorp/raft writes beside a snapshot, in meta.json.
// Its own reader of snapshots is not used: it writes a file to try whether it
// can.
type snapshotMeta struct {
	raft.SnapshotMeta
	CRC []byte
}

type raftSnapshot struct {
	path string
	meta snapshotMeta
}

// newestSnapshot finds the snapshot that raft would start from: that with the
// highest term and index. It returns nil if there is none, and warnings about
// those that raft would not look at.
func newestSnapshot(folder string) (*raftSnapshot, []string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("looking for snapshots: %w", err)
	}
	var newest *raftSnapshot
	var warnings []string
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasSuffix(entry.Name(), ".tmp") {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		s, err := readMeta(path)
		if what := trouble(err); what != "" {
			return nil, nil, fmt.Errorf("the snapshot %s cannot be read: %s: %w", path, what, err)
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("the snapshot %s is left out, as raft does: %v", path, err))
			continue
		}
		if v := s.meta.Version; v < raft.SnapshotVersionMin || v > raft.SnapshotVersionMax {
			return nil, nil, fmt.Errorf("the snapshot %s has version %d, which is not known here: use a later version of this program", path, v)
		}
		if newest == nil || s.meta.compare(newest.meta) > 0 {
			newest = s
		}
	}
	if newest == nil {
		return nil, warnings, nil
	}
	info, err := os.Stat(newest.state())
	if err != nil {
		return nil, nil, fmt.Errorf("the snapshot %s is damaged: %w", newest.path, err)
	}
	if info.Size() != newest.meta.Size {
		return nil, nil, newest.damaged(fmt.Errorf("it has %d bytes where %d were written", info.Size(), newest.meta.Size))
	}
	return newest, warnings, nil
}

func readMeta(path string) (*raftSnapshot, error) {
	raw, err := os.ReadFile(filepath.Join(path, "meta.json"))
	if err != nil {
		return nil, err
	}
	s := &raftSnapshot{path: path}
	if err := json.Unmarshal(raw, &s.meta); err != nil {
		return nil, fmt.Errorf("its meta.json is not valid: %w", err)
	}
	return s, nil
}

func (m snapshotMeta) compare(n snapshotMeta) int {
	return cmp.Or(cmp.Compare(m.Term, n.Term), cmp.Compare(m.Index, n.Index), cmp.Compare(m.ID, n.ID))
}

func (s *raftSnapshot) state() string { return filepath.Join(s.path, "state.bin") }

func (s *raftSnapshot) damaged(err error) error {
	return fmt.Errorf("the snapshot %s is damaged: %w: start the peer once and shut it down cleanly, or migrate from another peer", s.path, err)
}

// read calls f for each entry. Whether all of them are as they were written is
// known only at the end: the error says so then.
func (s *raftSnapshot) read(f func(snapshot.Entry) error) error {
	file, err := os.Open(s.state())
	if err != nil {
		return fmt.Errorf("reading a snapshot: %w", err)
	}
	defer file.Close()
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	var ended error
	err = snapshot.Read(io.TeeReader(file, sum), func(e snapshot.Entry) error {
		ended = f(e)
		return ended
	})
	if ended != nil {
		return ended
	}
	if err != nil {
		return s.damaged(err)
	}
	if got := sum.Sum(nil); !bytes.Equal(got, s.meta.CRC) {
		return s.damaged(fmt.Errorf("its checksum is %x where %x was written", got, s.meta.CRC))
	}
	return nil
}
