package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	upstreamtest "github.com/ipfs-cluster/ipfs-cluster/test"
	"github.com/libp2p/go-libp2p"
)

func TestRaftSnapshot(t *testing.T) {
	pins := samplePins(t, 300)
	p := newRaftPeer(t, pins)
	p.log(t, 1, nil, nil)
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

// TestRaftWithoutLogIsWarnedOf: only a peer that never ran has none.
func TestRaftWithoutLogIsWarnedOf(t *testing.T) {
	pins := samplePins(t, 30)
	s := open(t, newRaftPeer(t, pins).from())
	sameValues(t, readAll(t, s).values, valuesOf(t, pins))
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "a snapshot and no log") || !s.MayLack() {
		t.Errorf("the warnings are %q", w)
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
	if w := strings.Join(s.Warnings(), ""); s.MayLack() || !strings.Contains(w, "has 8 changes after its last snapshot, from index 4 to 12") {
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
	p.log(t, 1, nil)
	s := open(t, p.from())
	sameValues(t, readAll(t, s).values, valuesOf(t, pins[10:]))
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "7-without-meta is left out") {
		t.Errorf("%q", w)
	}
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
