package source

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// memory is a store whose rows come in another order each time.
type memory struct {
	rows map[string][]byte
	fail int // the piece that fails

	pieces map[int]map[string][]byte
}

func (m *memory) PieceOf(key []byte, pieces int) int {
	sum := fnv.New32a()
	_, _ = sum.Write(key)
	return int(sum.Sum32()) % pieces
}

func (m *memory) ScanValues(_ context.Context, piece, pieces int, f func(key, value []byte) error) error {
	if m.fail == piece && piece > 0 {
		return fmt.Errorf("piece %d: %w", piece, errStop)
	}
	if m.pieces == nil {
		m.pieces = make(map[int]map[string][]byte)
		for key, value := range m.rows {
			number := m.PieceOf([]byte(key), pieces)
			if m.pieces[number] == nil {
				m.pieces[number] = make(map[string][]byte)
			}
			m.pieces[number][key] = value
		}
	}
	for key, value := range m.pieces[piece] {
		if err := f([]byte(key), bytes.Clone(value)); err != nil {
			return err
		}
	}
	return nil
}

func TestValues(t *testing.T) {
	pins := samplePins(t, 3000)
	m := &memory{rows: make(map[string][]byte)}
	for _, p := range pins {
		m.rows[p.Cid.KeyString()] = valueOf(t, p)
	}
	m.rows["no CID"] = []byte("x")
	empty := api.PinCid(pins[9].Cid).Cid
	m.rows[empty.KeyString()] = nil
	closed := 0
	s := NewValues("cql:x", "f", m, func() error { closed++; return errStop })
	got := readAll(t, s)
	want := valuesOf(t, pins)
	delete(want, empty.String())
	sameValues(t, got.values, want)
	if len(got.records) != len(want) || len(got.bad) != 2 {
		t.Errorf("%d records, %v", len(got.records), got.bad)
	}
	for _, b := range got.bad {
		if b.At != hex.EncodeToString([]byte("no CID")) && b.At != hex.EncodeToString(empty.Bytes()) {
			t.Error(b)
		}
	}
	if n, err := s.Count(t.Context(), nil); n >= 0 || err != nil {
		t.Error(n, err)
	}
	if s.ID() != "cql:x" || s.Fingerprint() != "f" || !errors.Is(s.Close(), errStop) || closed != 1 {
		t.Error("it lost what it was made of")
	}
	for i := 0; i < len(got.records); i += 301 {
		after := got.records[i].After
		rest, err := readFrom(t, s, after)
		ok(t, err)
		if n := len(rest.records) + len(rest.bad); int64(n) != int64(len(m.rows))-after.Records {
			t.Fatalf("%d rows after %d of %d", n, after.Records, len(m.rows))
		}
		if len(rest.records) > 0 && rest.records[0].Cid.Equals(got.records[i].Cid) {
			t.Error("the last one comes once more")
		}
	}
	wantError(t, s.Read(t.Context(), Position{Key: []byte{0xff, 0xff}}, nil, nil), "no position")
	ok(t, NewValues("", "", m, nil).Close())
}

func TestValuesEndsWithAnError(t *testing.T) {
	m := &memory{rows: map[string][]byte{}, fail: 77}
	for _, p := range samplePins(t, 100) {
		m.rows[p.Cid.KeyString()] = valueOf(t, p)
	}
	s := NewValues("", "", m, nil)
	err := s.Read(t.Context(), Position{}, func(Record) error { return nil }, func(Bad) error { return nil })
	wantError(t, err, "piece 78 of 1024")
	m.fail = 0
	stop := errors.New("enough of it")
	if err := s.Read(t.Context(), Position{}, func(Record) error { return stop }, nil); !errors.Is(err, stop) {
		t.Error(err)
	}
	if err := s.Read(canceled(t), Position{}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
