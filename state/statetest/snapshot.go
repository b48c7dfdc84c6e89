package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pb"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ugorji/go/codec"
	"google.golang.org/protobuf/proto"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func snapshotTests() []test {
	return []test{
		{"from upstream", testSnapshotFromUpstream},
		{"to upstream", testSnapshotToUpstream},
		{"adds", testSnapshotAdds},
		{"empty", testSnapshotEmpty},
		{"old pins", testSnapshotOldPins},
		{"broken", testSnapshotBroken},
		{"broken writer", testSnapshotBrokenWriter},
		{"migrate", testMigrate},
	}
}

// record is one pin of a snapshot, in upstream's format.
type record struct {
	Key   string `codec:"k"`
	Value []byte `codec:"v"`
}

// samplePins returns every sample and every kind of CID.
func samplePins(t *testing.T) []api.Pin {
	t.Helper()
	var pins []api.Pin
	for _, sample := range Samples(t) {
		pins = append(pins, sample.Pin)
	}
	for name, c := range cidsOfOneBlock(t) {
		pins = append(pins, pin(func(p *api.Pin) { p.Cid, p.Name = c, name }))
	}
	return pins
}

func testSnapshotFromUpstream(t *testing.T, s Suite) {
	source, store := upstream(t), s.New(t)
	pins := samplePins(t)
	add(t, source, pins...)
	unmarshal(t, store, marshal(t, source))
	for i, p := range pins {
		pins[i] = asStored(t, p)
	}
	wantPinset(t, store, pins...)
	for _, p := range pins {
		wantPin(t, store, p)
	}
	sameRecords(t, marshal(t, store), marshal(t, source))
}

func testSnapshotToUpstream(t *testing.T, s Suite) {
	store, twin, target := s.New(t), upstream(t), upstream(t)
	pins := samplePins(t)
	addMany(t, store, pins)
	add(t, twin, pins...)
	snapshot := marshal(t, store)
	sameRecords(t, snapshot, marshal(t, twin))
	unmarshal(t, target, snapshot)
	for i, p := range pins {
		pins[i] = asStored(t, p)
	}
	wantPinset(t, target, pins...)
}

func testSnapshotAdds(t *testing.T, s Suite) {
	source, store := upstream(t), s.New(t)
	kept, older, newer, added := named("kept", "kept"), named("b", "older"), named("b", "newer"), named("c", "added")
	older.Metadata = map[string]string{"older": "yes"}
	add(t, store, kept, older)
	add(t, source, newer, added)
	unmarshal(t, store, marshal(t, source))
	wantPinset(t, store, asStored(t, kept), asStored(t, newer), asStored(t, added))
}

func testSnapshotEmpty(t *testing.T, s Suite) {
	store := s.New(t)
	if snapshot := marshal(t, store); len(snapshot) != 0 {
		t.Fatalf("Marshal of an empty store wrote %d bytes: want 0", len(snapshot))
	}
	kept := named("kept", "kept")
	add(t, store, kept)
	unmarshal(t, store, nil)
	wantPinset(t, store, asStored(t, kept))
}

// testSnapshotOldPins has what upstream reads without writing it any more:
// metadata as a protobuf map, a key with a slash, and a pin whose own CID
// differs from its key, which counts.
func testSnapshotOldPins(t *testing.T, s Suite) {
	p := named("a", "old")
	encoded, err := p.ProtoMarshal()
	if err != nil {
		t.Fatalf("encode a pin: %v", err)
	}
	oldPin := new(pb.Pin)
	if err := proto.Unmarshal(encoded, oldPin); err != nil {
		t.Fatalf("decode a pin: %v", err)
	}
	oldPin.Options.Metadata = map[string]string{"written": "long ago"} //nolint:staticcheck // deprecated is the point
	oldPin.Cid = Cid("another").Bytes()
	if encoded, err = proto.Marshal(oldPin); err != nil {
		t.Fatalf("encode a pin: %v", err)
	}
	source, store := upstream(t), s.New(t)
	add(t, source, p)
	old, same := make(map[string][]byte), make(map[string][]byte)
	for key := range decode(t, marshal(t, source)) {
		old["/"+key], same[key] = encoded, encoded
	}
	unmarshal(t, store, encode(t, old))
	want := asStored(t, p)
	want.Metadata = map[string]string{"written": "long ago"}
	wantPinset(t, store, want)
	wantPin(t, store, want)
	// The same bytes must leave it: a changed pin would look like a change
	// to whoever compares two copies of a pinset.
	sameRecords(t, marshal(t, store), encode(t, same))
}

func testSnapshotBroken(t *testing.T, s Suite) {
	source, store := upstream(t), s.New(t)
	kept, added := named("kept", "kept"), named("added", "added")
	add(t, store, kept)
	add(t, source, added)
	lost := errors.New("connection lost")
	for name, r := range map[string]io.Reader{
		"text":                strings.NewReader("not a snapshot"),
		"JSON":                strings.NewReader(`{"k":"AFKREIC75T","v":"AAAA"}`),
		"a good record, junk": io.MultiReader(bytes.NewReader(marshal(t, source)), strings.NewReader("junk")),
		"a read error":        io.MultiReader(bytes.NewReader(marshal(t, source)), iotest.ErrReader(lost)),
	} {
		if err := store.Unmarshal(r); err == nil {
			t.Errorf("Unmarshal of %s returned nil", name)
		}
	}
	wantPin(t, store, asStored(t, kept))
}

func testSnapshotBrokenWriter(t *testing.T, s Suite) {
	store := s.New(t)
	add(t, store, named("a", "a"), named("b", "b"))
	size := len(marshal(t, store))
	for _, room := range []int{0, 1, size / 2, size - 1} {
		if err := store.Marshal(&fullDisk{room: room}); err == nil {
			t.Errorf("Marshal into %d bytes of room for %d returned nil", room, size)
		}
	}
}

func testMigrate(t *testing.T, s Suite) {
	source, store := upstream(t), s.New(t)
	kept := named("kept", "kept")
	add(t, store, kept)
	add(t, source, named("ignored", "ignored"))
	if err := store.Migrate(t.Context(), bytes.NewReader(marshal(t, source))); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	wantPinset(t, store, asStored(t, kept))
}

func marshal(t tester, s state.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Marshal(&b); err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	return b.Bytes()
}

func unmarshal(t tester, s state.Store, snapshot []byte) {
	t.Helper()
	// One byte at a time: a record may arrive in pieces.
	if err := s.Unmarshal(iotest.OneByteReader(bytes.NewReader(snapshot))); err != nil {
		t.Fatalf("Unmarshal: %v", err)
	}
}

// decode returns the records of a snapshot by key.
func decode(t tester, snapshot []byte) map[string][]byte {
	t.Helper()
	records := make(map[string][]byte)
	dec := codec.NewDecoder(bytes.NewReader(snapshot), dsstate.DefaultHandle())
	for {
		var r record
		err := dec.Decode(&r)
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatalf("the snapshot is not in upstream's format: %v", err)
		}
		if _, twice := records[r.Key]; twice {
			t.Fatalf("the snapshot has key %s twice", r.Key)
		}
		records[r.Key] = r.Value
	}
}

// encode is the inverse of decode, in the order of the keys.
func encode(t tester, records map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := codec.NewEncoder(&b, dsstate.DefaultHandle())
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if err := enc.Encode(record{Key: key, Value: records[key]}); err != nil {
			t.Fatalf("encode a snapshot: %v", err)
		}
	}
	return b.Bytes()
}

// sameRecords demands that two snapshots hold the same keys and bytes. Their
// order is free.
func sameRecords(t *testing.T, got, want []byte) {
	t.Helper()
	gotRecords, wantRecords := decode(t, got), decode(t, want)
	for key, value := range wantRecords {
		if !bytes.Equal(gotRecords[key], value) {
			t.Errorf("snapshot record %s is %x: want %x", key, gotRecords[key], value)
		}
	}
	for key := range gotRecords {
		if _, ok := wantRecords[key]; !ok {
			t.Errorf("snapshot has record %s, which should not be there", key)
		}
	}
	// The same records need the same number of bytes, unless their framing
	// differs from upstream's.
	if !t.Failed() && len(got) != len(want) {
		t.Errorf("snapshot has %d bytes: want %d", len(got), len(want))
	}
}

// fullDisk accepts room bytes and then fails.
type fullDisk struct{ room int }

func (w *fullDisk) Write(b []byte) (int, error) {
	if len(b) > w.room {
		n := w.room
		w.room = 0
		return n, fmt.Errorf("no space left after %d bytes", n)
	}
	w.room -= len(b)
	return len(b), nil
}
