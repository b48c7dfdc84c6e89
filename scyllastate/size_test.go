package scyllastate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// sizedPin is a pin whose encoding has exactly so many bytes.
func sizedPin(tb testing.TB, label string, size int) api.Pin {
	tb.Helper()
	pin := statetest.Samples(tb)[0].Pin
	pin.Cid, pin.Name = statetest.Cid(label), fmt.Sprint(label, " ", size)
	pin.Metadata = map[string]string{"fill": strings.Repeat("x", size)}
	over := len(encode(tb, statetest.Sample{Pin: pin})) - size
	pin.Metadata["fill"] = strings.Repeat("x", size-over)
	if got := len(encode(tb, statetest.Sample{Pin: pin})); got != size {
		tb.Fatalf("the pin has %d bytes, want %d", got, size)
	}
	return pin
}

// wantTooLarge checks that err says what was refused, and why.
func wantTooLarge(t *testing.T, err error, c api.Cid, size int) {
	t.Helper()
	var tooLarge *state.TooLargeError
	if !errors.As(err, &tooLarge) {
		t.Fatalf("the error is %v, want a TooLargeError", err)
	}
	if !tooLarge.Cid.Equals(c) || tooLarge.Size != size {
		t.Errorf("the error is about %d bytes of %s, want %d of %s", tooLarge.Size, tooLarge.Cid, size, c)
	}
	for _, part := range []string{c.String(), fmt.Sprint(size), fmt.Sprint(state.MaxPinBytes)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %q: want %s in it", err, part)
		}
	}
}

// TestBound holds the bound against what it was chosen for.
func TestBound(t *testing.T) {
	large := statetest.Samples(t)[0].Pin
	large.Cid = statetest.Cid("large")
	large.Allocations = nil
	for n := range 1000 {
		large.Allocations = append(large.Allocations, statetest.Peer(fmt.Sprint("peer ", n)))
	}
	large.Metadata = make(map[string]string)
	for n := range 1000 {
		large.Metadata[fmt.Sprintf("key %016d", n)] = strings.Repeat("v", 80)
	}
	for n := range 20 {
		origin, err := api.NewMultiaddr("/dns4/" + strings.Repeat("a", 60) + fmt.Sprint(n) + ".example.org/tcp/4001/p2p/" + statetest.Peer("o").String())
		if err != nil {
			t.Fatal(err)
		}
		large.Origins = append(large.Origins, origin)
	}
	content, err := encodePin(large)
	if err != nil {
		t.Fatalf("a pin with much in it: %v", err)
	}
	if size := len(content.value); size > 160<<10 {
		t.Errorf("a pin with much in it has %d bytes, more than is said where the bound is", size)
	}

	// The readable columns repeat the allocations: a pin of nothing else makes the
	// largest row.
	var ids []peer.ID
	for n := range state.MaxPinBytes/36 - 100 {
		ids = append(ids, statetest.Peer(fmt.Sprint(n)))
	}
	full := api.Pin{Cid: statetest.Cid("full"), Type: api.DataType, Allocations: ids}
	if content, err = encodePin(full); err != nil {
		t.Fatal(err)
	}
	row := len(content.value)
	for _, name := range content.peers() {
		row += len(name) + 4
	}
	if row > 700<<10 {
		t.Errorf("the largest row has %d bytes, more than is said where the bound is", row)
	}

	const frame = 256 << 20      // the driver refuses more
	const besides = 8 + 100 + 12 // token, CID, and the lengths of the cells
	if page := scanPage * (state.MaxPinBytes + besides); page >= frame {
		t.Errorf("a page of the largest pins has %d bytes, more than the driver takes", page)
	}
}

// TestEncodingIsBounded: to the byte, on each way in.
func TestEncodingIsBounded(t *testing.T) {
	for _, size := range []int{state.MaxPinBytes, state.MaxPinBytes + 1} {
		pin := sizedPin(t, "a", size)
		batch := (&Store{}).Batching()
		_, err := encodePin(pin)
		errs := map[string]error{
			"encode":          err,
			"batch":           batch.Add(t.Context(), pin),
			"snapshot":        readEntries(bytes.NewReader(snapshotOf(t, pin)), func(*content) error { return nil }),
			"batch unmarshal": batch.Unmarshal(bytes.NewReader(snapshotOf(t, pin))),
		}
		for what, err := range errs {
			if size > state.MaxPinBytes {
				wantTooLarge(t, err, pin.Cid, size)
			} else if err != nil {
				t.Errorf("%s: a pin of %d bytes: %v", what, size, err)
			}
		}
		if waiting := len(batch.ops); (waiting == 0) != (size > state.MaxPinBytes) {
			t.Errorf("%d writes wait for Commit after a pin of %d bytes", waiting, size)
		}
	}
}

// snapshotOf is a snapshot with one pin.
func snapshotOf(tb testing.TB, pin api.Pin) []byte {
	tb.Helper()
	return stream(tb, pin.Cid.Bytes(), encode(tb, statetest.Sample{Pin: pin}))
}

// TestTooLargePinsLeaveNoTrace: no row was written, and the pin that is there stays.
func TestTooLargePinsLeaveNoTrace(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	small, largest := sizedPin(t, "small", 500), sizedPin(t, "largest", state.MaxPinBytes)
	must(t, s.Add(ctx, small))
	must(t, s.Add(ctx, largest))
	wantPin(t, s, largest.Cid, &largest)
	_, rev, err := s.GetVersion(ctx, small.Cid)
	must(t, err)

	s.at = func(p point, w *write) { t.Errorf("%s: the write of %s has begun", p, w.cid) }
	const size = state.MaxPinBytes + 1
	for _, label := range []string{"small", "another"} {
		large := sizedPin(t, label, size)
		give := func(*api.Pin) (*api.Pin, error) { return &large, nil }
		for _, err := range []error{
			s.Add(ctx, large),
			s.Update(ctx, large.Cid, give),
			s.PutIf(ctx, large, rev),
			s.Unmarshal(bytes.NewReader(snapshotOf(t, large))),
			s.Batching().Add(ctx, large),
		} {
			wantTooLarge(t, err, large.Cid, size)
		}
	}
	wantPin(t, s, small.Cid, &small)
	wantPin(t, s, statetest.Cid("another"), nil)
}

// plantLarge writes a pin that is too large past the bound, as an earlier version
// of this program could.
func plantLarge(t *testing.T, s *Store, label string) api.Pin {
	t.Helper()
	pin := sizedPin(t, label, state.MaxPinBytes+100)
	next := &content{value: encode(t, statetest.Sample{Pin: pin}), pin: pin}
	applied, _, err := s.tables.swap(t.Context(), &write{cid: pin.Cid, rev: newUUID(s.now()), next: next})
	if err != nil || !applied {
		t.Fatalf("planting a large pin: applied %t, %v", applied, err)
	}
	return pin
}

// TestLargePinsThatAreThere: whatever is stored is read, fenced, replaced and
// removed, and never makes a listing fail.
func TestLargePinsThatAreThere(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	large := plantLarge(t, s, "large")
	wantPin(t, s, large.Cid, &large)

	var listed []api.Cid
	out := make(chan api.Pin, 10)
	must(t, s.List(ctx, out))
	for pin := range out {
		listed = append(listed, pin.Cid)
	}
	if len(listed) != 1 || !listed[0].Equals(large.Cid) {
		t.Errorf("List gives %v, want the large pin", listed)
	}
	var snapshot bytes.Buffer
	must(t, s.Marshal(&snapshot))
	if !bytes.Contains(snapshot.Bytes(), encode(t, statetest.Sample{Pin: large})) {
		t.Error("the large pin is not in the snapshot")
	}

	old, err := s.readRow(ctx, large.Cid, gocql.Quorum)
	must(t, err)
	fenced, err := s.fence(ctx, large.Cid, old)
	must(t, err)
	if fenced.rev == old.rev {
		t.Error("the large pin was not fenced")
	}
	wantPin(t, s, large.Cid, &large)

	must(t, s.Rm(ctx, large.Cid))
	wantPin(t, s, large.Cid, nil)

	other := plantLarge(t, s, "other")
	small := sizedPin(t, "other", 500)
	must(t, s.Update(ctx, other.Cid, func(current *api.Pin) (*api.Pin, error) {
		if current == nil {
			return nil, errors.New("the large pin was not seen")
		}
		return &small, nil
	}))
	wantPin(t, s, small.Cid, &small)
	_, rev, err := s.GetVersion(ctx, small.Cid)
	must(t, err)
	must(t, s.DeleteIf(ctx, small.Cid, rev))
	wantPin(t, s, small.Cid, nil)
}

// TestBoundInTheDocumentation: the number there is that of the code.
func TestBoundInTheDocumentation(t *testing.T) {
	for page, want := range map[string]string{
		"../docs/schema.md":          fmt.Sprintf("%d KiB (%d,%03d bytes)", state.MaxPinBytes>>10, state.MaxPinBytes/1000, state.MaxPinBytes%1000),
		"../docs/migration.md":       fmt.Sprintf("%d KiB (%d,%03d bytes)", state.MaxPinBytes>>10, state.MaxPinBytes/1000, state.MaxPinBytes%1000),
		"../docs/troubleshooting.md": fmt.Sprintf("at most %d KiB", state.MaxPinBytes>>10),
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", page, want)
		}
	}
}
