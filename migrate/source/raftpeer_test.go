package source

import (
	"bytes"
	"encoding/json"
	"hash/crc64"
	"os"
	"path/filepath"
	"testing"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/ugorji/go/codec"
)

// raftPeer is the folder of a raft peer that is made by hand.
type raftPeer struct{ folder string }

func (p raftPeer) from() string { return "raft:" + p.folder }
func (p raftPeer) db() string   { return filepath.Join(p.folder, "raft", "raft.db") }

func (p raftPeer) config(t *testing.T) *raft.Config {
	t.Helper()
	var cfg raft.Config
	ok(t, cfg.Default())
	cfg.DataFolder = filepath.Join(p.folder, "raft")
	return &cfg
}

// newRaftPeer has the pins in its snapshot, at index 2.
func newRaftPeer(t *testing.T, pins []api.Pin) raftPeer {
	t.Helper()
	p := raftPeer{t.TempDir()}
	writeConfig(t, p.folder, "raft", map[string]any{"pebble": map[string]any{}})
	if pins == nil {
		ok(t, os.Mkdir(filepath.Join(p.folder, "raft"), 0o700))
		return p
	}
	st, err := dsstate.New(t.Context(), inmem.New(), "", dsstate.DefaultHandle())
	ok(t, err)
	for _, pin := range pins {
		ok(t, st.Add(t.Context(), pin))
	}
	ok(t, raft.SnapshotSave(p.config(t), st, []peer.ID{"one"}))
	return p
}

// log writes entries into the log, the first at an index. Nil is one that is
// not a command.
func (p raftPeer) log(t *testing.T, first uint64, ops ...*raft.LogOp) {
	t.Helper()
	store, err := raftboltdb.NewBoltStore(p.db())
	ok(t, err)
	for i, op := range ops {
		entry := &hraft.Log{Index: first + uint64(i), Term: 2, Type: hraft.LogNoop}
		if op != nil {
			entry.Type, entry.Data = hraft.LogCommand, encodeOp(t, op)
		}
		ok(t, store.StoreLog(entry))
	}
	ok(t, store.Close())
}

func encodeOp(tb testing.TB, op any) []byte {
	tb.Helper()
	var b bytes.Buffer
	ok(tb, codec.NewEncoder(&b, &codec.MsgpackHandle{}).Encode(op))
	return b.Bytes()
}

func pinOp(p api.Pin) *raft.LogOp { return &raft.LogOp{Cid: p, Type: raft.LogOpPin} }
func unpinOp(p api.Pin) *raft.LogOp {
	return &raft.LogOp{Cid: api.PinCid(p.Cid), Type: raft.LogOpUnpin}
}

func valuesOf(t *testing.T, pins []api.Pin) map[string][]byte {
	t.Helper()
	values := make(map[string][]byte)
	for _, p := range pins {
		values[p.Cid.String()] = valueOf(t, p)
	}
	return values
}

// plainPins have every field that the log has, so that none is left over from
// the entry before it.
func plainPins(t *testing.T, n int) []api.Pin {
	t.Helper()
	pins := samplePins(t, n)
	return pins[len(pins)-n:]
}

// snapshotFile returns a file of the only snapshot.
func (p raftPeer) snapshotFile(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.folder, "raft", "snapshots", "*", name))
	ok(t, err)
	if len(files) != 1 {
		t.Fatal(files)
	}
	return files[0]
}

func change(t *testing.T, name string, f func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(name)
	ok(t, err)
	ok(t, os.WriteFile(name, f(raw), 0o600))
}

func (p raftPeer) changeMeta(t *testing.T, f func(map[string]any)) {
	t.Helper()
	change(t, p.snapshotFile(t, "meta.json"), func(b []byte) []byte {
		var m map[string]any
		ok(t, json.Unmarshal(b, &m))
		f(m)
		b, err := json.Marshal(m)
		ok(t, err)
		return b
	})
}

// sign makes meta.json fit to state.bin.
func (p raftPeer) sign(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(p.snapshotFile(t, "state.bin"))
	ok(t, err)
	p.changeMeta(t, func(m map[string]any) { m["Size"], m["CRC"] = len(raw), checksum(raw) })
}

func checksum(b []byte) []byte {
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	_, _ = sum.Write(b)
	return sum.Sum(nil)
}
