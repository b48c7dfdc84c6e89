package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc64"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	upstreamtest "github.com/ipfs-cluster/ipfs-cluster/test"
	"github.com/libp2p/go-libp2p"
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

func TestRaftSnapshot(t *testing.T) {
	pins := samplePins(t, 300)
	p := newRaftPeer(t, pins)
	untouched(t, p.folder)
	s := open(t, p.from())
	got := readAll(t, s)
	sameValues(t, got.values, valuesOf(t, pins))
	if len(got.bad) > 0 || len(got.records) != len(pins) || len(s.Warnings()) > 0 {
		t.Errorf("%d records, %d bad ones, warnings %q", len(got.records), len(got.bad), s.Warnings())
	}
	counts(t, s, len(pins))
	resumes(t, s, 50)
	if real, err := realPath(p.folder); err != nil || s.ID() != "raft:"+real {
		t.Error(s.ID(), err)
	}
}

// TestRaftLogIsAppliedOverTheSnapshot: pins, unpins and pins again, of CIDs that
// are in the snapshot and of others.
func TestRaftLogIsAppliedOverTheSnapshot(t *testing.T) {
	pins := plainPins(t, 60)
	p := newRaftPeer(t, pins[:40])
	renamed := pins[1]
	renamed.Name = "renamed"
	p.log(t, 1, nil, unpinOp(pins[7]), nil, // the second is in the snapshot
		pinOp(renamed), unpinOp(pins[2]), unpinOp(pins[3]), pinOp(pins[3]),
		pinOp(pins[50]), pinOp(pins[51]), nil, unpinOp(pins[51]), unpinOp(pins[55]))
	check := watch(t, p.folder)
	s := open(t, p.from())
	want := valuesOf(t, pins[:40])
	want[renamed.Cid.String()] = valueOf(t, renamed)
	delete(want, pins[2].Cid.String())
	want[pins[50].Cid.String()] = valueOf(t, pins[50])
	got := readAll(t, s)
	sameValues(t, got.values, want)
	if len(got.records) != len(want) {
		t.Errorf("%d records, want %d", len(got.records), len(want))
	}
	counts(t, s, len(want))
	resumes(t, s, 7)
	if w := strings.Join(s.Warnings(), ""); !strings.Contains(w, "has 8 changes after its last snapshot, from index 4 to 12") {
		t.Error(w)
	}
	before := s.Fingerprint()
	ok(t, s.Close())
	check()
	p.log(t, 13, unpinOp(pins[0]))
	if after := open(t, p.from()).Fingerprint(); after == before {
		t.Errorf("the fingerprint is still %q", after)
	}
}

// TestRaftIsWhatThePeerHas: upstream's own component, with all kinds of pins,
// running and after it was shut down.
func TestRaftIsWhatThePeerHas(t *testing.T) {
	p := newRaftPeer(t, nil)
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	ok(t, err)
	cc, err := raft.NewConsensus(h, p.config(t), inmem.New(), false)
	ok(t, err)
	cc.SetClient(upstreamtest.NewMockRPCClientWithHost(t, h))
	<-cc.Ready(t.Context())
	for i, pin := range samplePins(t, 20) {
		if !pin.Cid.Defined() {
			continue
		}
		ok(t, cc.LogPin(t.Context(), pin))
		if i%4 == 0 {
			ok(t, cc.LogUnpin(t.Context(), pin))
		}
	}
	st, err := cc.State(t.Context())
	ok(t, err)
	out := make(chan api.Pin, 1000)
	ok(t, st.List(t.Context(), out))
	want := make(map[string][]byte)
	for pin := range out {
		want[pin.Cid.String()] = valueOf(t, pin)
	}
	running := raftPeer{copyFolder(t, p.folder)}
	_, err = Open(t.Context(), p.from(), Options{})
	wantError(t, err, "in use: stop the daemon first")
	ok(t, cc.Shutdown(t.Context()))
	ok(t, h.Close())

	for _, p := range []raftPeer{running, p} {
		untouched(t, p.folder)
		s := open(t, p.from())
		got := readAll(t, s)
		again := make(map[string][]byte)
		for c, value := range got.values {
			var pin api.Pin
			ok(t, pin.ProtoUnmarshal(value))
			again[c] = valueOf(t, pin)
		}
		sameValues(t, again, want)
		if hasLog := p == running; hasLog != (len(s.Warnings()) > 0) {
			t.Errorf("warnings %q", s.Warnings())
		}
	}
}

func TestRaftGapsAreRefused(t *testing.T) {
	pins := plainPins(t, 5)
	for _, c := range []struct {
		name  string
		pins  []api.Pin
		first uint64
		then  uint64
		want  []string
	}{
		{"behind the snapshot", pins, 5, 6, []string{"from 3 to 4 are missing"}},
		{"inside", pins, 3, 6, []string{"from 4 to 4 are missing"}},
		{"without a snapshot", nil, 2, 3, []string{"from 1 to 1 are missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newRaftPeer(t, c.pins)
			p.log(t, c.first, pinOp(pins[0]))
			p.log(t, c.then, pinOp(pins[1]))
			untouched(t, p.folder)
			_, err := Open(t.Context(), p.from(), Options{})
			wantError(t, err, append(c.want, "start the peer once")...)
		})
	}
	t.Run("none", func(t *testing.T) {
		p := newRaftPeer(t, nil)
		p.log(t, 1, nil, pinOp(pins[0]))
		sameValues(t, readAll(t, open(t, p.from())).values, valuesOf(t, pins[:1]))
	})
	t.Run("nothing at all", func(t *testing.T) {
		p := newRaftPeer(t, nil)
		untouched(t, p.folder)
		_, err := Open(t.Context(), p.from(), Options{})
		wantError(t, err, "holds no pins")
	})
}

func TestRaftEntriesThatCannotBeAppliedAreRefused(t *testing.T) {
	pin := plainPins(t, 1)[0]
	for name, data := range map[string][]byte{
		"no msgpack":        {0xc1, 1, 2},
		"empty":             {},
		"unknown field":     encodeOp(t, map[string]any{"zzz": 1}),
		"unknown operation": encodeOp(t, &raft.LogOp{Cid: pin, Type: 9}),
		"no CID":            encodeOp(t, &raft.LogOp{Type: raft.LogOpPin}),
	} {
		t.Run(name, func(t *testing.T) {
			p := newRaftPeer(t, []api.Pin{pin})
			p.log(t, 3, nil)
			store, err := raftboltdb.NewBoltStore(p.db())
			ok(t, err)
			ok(t, store.StoreLog(&hraft.Log{Index: 4, Term: 2, Type: hraft.LogCommand, Data: data}))
			ok(t, store.Close())
			_, err = Open(t.Context(), p.from(), Options{})
			wantError(t, err, "entry 4 cannot be applied", "start the peer once")
		})
	}
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

func TestRaftDamageIsAnError(t *testing.T) {
	pins := samplePins(t, 100)
	for name, c := range map[string]struct {
		change func(t *testing.T, p raftPeer)
		want   string
	}{
		"a bit of the snapshot": {func(t *testing.T, p raftPeer) {
			change(t, p.snapshotFile(t, "state.bin"), func(b []byte) []byte {
				i := bytes.Index(b, []byte("pin 17")) // in a name: all else is as it was
				b[i] ^= 1
				return b
			})
		}, "its checksum is"},
		"cut snapshot": {func(t *testing.T, p raftPeer) {
			change(t, p.snapshotFile(t, "state.bin"), func(b []byte) []byte { return b[:len(b)-9] })
		}, "bytes where"},
		"cut snapshot of the right size": {func(t *testing.T, p raftPeer) {
			var size int
			change(t, p.snapshotFile(t, "state.bin"), func(b []byte) []byte { size = len(b) - 9; return b[:size] })
			p.changeMeta(t, func(m map[string]any) { m["Size"] = size })
		}, "unexpected EOF"},
		"no state":        {func(t *testing.T, p raftPeer) { ok(t, os.Remove(p.snapshotFile(t, "state.bin"))) }, "damaged"},
		"unknown version": {func(t *testing.T, p raftPeer) { p.changeMeta(t, func(m map[string]any) { m["Version"] = 7 }) }, "has version 7, which is not known"},
		"empty log":       {func(t *testing.T, p raftPeer) { ok(t, os.WriteFile(p.db(), nil, 0o600)) }, "is damaged: it is empty"},
		"no log":          {func(t *testing.T, p raftPeer) { ok(t, os.WriteFile(p.db(), make([]byte, 1<<16), 0o600)) }, "it is no file of bolt"},
		"cut log": {func(t *testing.T, p raftPeer) {
			change(t, p.db(), func(b []byte) []byte { return b[:len(b)/2] })
		}, "damaged"},
		"changed log": {func(t *testing.T, p raftPeer) {
			change(t, p.db(), func(b []byte) []byte {
				for i := 3 * 4096; i < len(b); i += 64 {
					b[i] ^= 0xff
				}
				return b
			})
		}, "raft log"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newRaftPeer(t, pins)
			var ops []*raft.LogOp
			for _, pin := range pins[60:] {
				ops = append(ops, pinOp(pin))
			}
			p.log(t, 3, ops...)
			c.change(t, p)
			untouched(t, p.folder)
			s, err := Open(t.Context(), p.from(), Options{})
			if err == nil {
				_, err = readFrom(t, s, Position{})
				ok(t, s.Close())
			}
			wantError(t, err, c.want)
		})
	}
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

// TestRaftTakesTheNewestSnapshot, as raft does: by term, index and name.
func TestRaftTakesTheNewestSnapshot(t *testing.T) {
	pins := plainPins(t, 30)
	p := newRaftPeer(t, pins[:10])
	folder := filepath.Join(p.folder, "raft", "snapshots")
	newer := newRaftPeer(t, pins[10:])
	newer.changeMeta(t, func(m map[string]any) { m["Index"], m["Term"] = 2, 4 })
	ok(t, os.Rename(filepath.Dir(newer.snapshotFile(t, "meta.json")), filepath.Join(folder, "0-first-by-name")))
	higher := newRaftPeer(t, pins[20:])
	higher.changeMeta(t, func(m map[string]any) { m["Index"] = 900 })
	ok(t, os.Rename(filepath.Dir(higher.snapshotFile(t, "meta.json")), filepath.Join(folder, "9-last-by-name")))
	ok(t, os.MkdirAll(filepath.Join(folder, "8-begun.tmp"), 0o700))
	ok(t, os.MkdirAll(filepath.Join(folder, "7-without-meta"), 0o700))
	s := open(t, p.from())
	sameValues(t, readAll(t, s).values, valuesOf(t, pins[10:]))
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "7-without-meta is left out") {
		t.Errorf("%q", w)
	}
}

func TestRaftBadEntries(t *testing.T) {
	pins := plainPins(t, 3)
	p := newRaftPeer(t, pins)
	state := p.snapshotFile(t, "state.bin")
	change(t, state, func(b []byte) []byte {
		b = append(b, encodeOp(t, map[string]any{"k": "not a key", "v": []byte("x")})...)
		return append(b, encodeOp(t, map[string]any{"k": "/AFKRA", "v": []byte{}})...)
	})
	p.sign(t)
	got := readAll(t, open(t, p.from()))
	sameValues(t, got.values, valuesOf(t, pins))
	if len(got.bad) != 2 || got.bad[0].At != "not a key" || got.bad[1].At != "/AFKRA" || got.bad[1].After.Records != 5 {
		t.Errorf("%+v", got.bad)
	}
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

func TestRaftEndsWithItsCaller(t *testing.T) {
	pins := plainPins(t, 20)
	p := newRaftPeer(t, pins[:10])
	p.log(t, 3, pinOp(pins[11]), pinOp(pins[12]))
	s := open(t, p.from())
	for stop := range 12 {
		n := 0
		err := s.Read(t.Context(), Position{}, func(Record) error {
			if n++; n > stop {
				return errStop
			}
			return nil
		}, nil)
		if !errors.Is(err, errStop) || strings.Contains(err.Error(), "damaged") {
			t.Errorf("after %d records: %v", n, err)
		}
	}
	if err := s.Read(canceled(t), Position{}, nil, nil); !errors.Is(err, canceled(t).Err()) {
		t.Error(err)
	}
}

// FuzzLogOp feeds arbitrary bytes to the reader of the log: it never panics, and
// what it accepts is a change of one pin.
func FuzzLogOp(f *testing.F) {
	for _, pin := range samplePins(f, 2) {
		f.Add(encodeOp(f, pinOp(pin)), encodeOp(f, unpinOp(pin)))
	}
	f.Add([]byte{}, []byte{0xc1})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		l := &raftLog{values: make(map[string][]byte)}
		var op logOp
		for _, data := range [][]byte{one, two} {
			before := maps.Clone(l.values)
			if err := l.command(&op, data); err != nil {
				if len(l.values) != len(before) {
					t.Fatalf("it changed a pin and failed: %v", err)
				}
				continue
			}
			if _, found := l.values[op.Cid.Cid.KeyString()]; !found || len(l.values) > len(before)+1 {
				t.Fatalf("%v became %v", before, l.values)
			}
		}
	})
}
