package source

import (
	"bytes"
	"maps"
	"os"
	"testing"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
)

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
