package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// item is a record of the fake source: a pin, or a bad one. An item with bad set is
// found to be bad by the source itself.
type item struct {
	cid   api.Cid
	value []byte
	bad   string
}

// fakeSource has its records in memory. What it hands out is overwritten as soon as
// the function returns.
type fakeSource struct {
	tb          testing.TB
	id          string
	fingerprint string
	items       []item
	uncounted   bool
	once        bool // it can be read only once
	mayLack     bool
	busy        atomic.Bool
	from        []int64 // where each Read began
	// fail is asked before each record.
	fail func(number int64) error
}

func newFakeSource(tb testing.TB, items ...item) *fakeSource {
	return &fakeSource{tb: tb, id: "fake:/source", fingerprint: "one", items: items}
}

func (s *fakeSource) ID() string          { return s.id }
func (s *fakeSource) Fingerprint() string { return s.fingerprint }
func (s *fakeSource) Warnings() []string  { return []string{"it is a fake"} }
func (s *fakeSource) MayLack() bool       { return s.mayLack }
func (s *fakeSource) ReadOnce() bool      { return s.once }
func (s *fakeSource) Close() error        { return nil }

func (s *fakeSource) Count(_ context.Context, progress func(int64)) (int64, error) {
	if s.uncounted {
		return -1, nil
	}
	progress(int64(len(s.items)))
	return int64(len(s.items)), nil
}

func (s *fakeSource) Read(ctx context.Context, from source.Position, f func(source.Record) error, bad func(source.Bad) error) error {
	if s.busy.Swap(true) {
		s.tb.Error("the source is read by two at once")
	}
	defer s.busy.Store(false)
	if s.once && len(s.from) > 0 {
		return fmt.Errorf("reading again: %w", source.ErrReadOnce)
	}
	s.from = append(s.from, from.Records)
	if from.Records > 0 && string(from.Key) != fmt.Sprint("after ", from.Records) {
		s.tb.Errorf("read from record %d with the key %q", from.Records, from.Key)
	}
	key, value := make([]byte, 0, 64), make([]byte, 0, 1<<16)
	for i := from.Records; i < int64(len(s.items)); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.fail != nil {
			if err := s.fail(i + 1); err != nil {
				return err
			}
		}
		key = fmt.Appendf(key[:0], "after %d", i+1)
		after := source.Position{Key: key, Records: i + 1}
		var err error
		if it := s.items[i]; it.bad != "" {
			err = bad(source.Bad{At: fmt.Sprint("line ", i+1), Err: errors.New(it.bad), After: after})
		} else {
			value = append(value[:0], it.value...)
			err = f(source.Record{Cid: it.cid, Value: value, After: after})
		}
		clear(key)
		clear(value)
		if err != nil {
			return err
		}
	}
	return nil
}

// testPin returns an ordinary pin.
func testPin(label string, change ...func(*api.Pin)) api.Pin {
	pin := api.Pin{
		PinOptions:  api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, Name: label},
		Cid:         statetest.Cid(label),
		Type:        api.DataType,
		Allocations: []peer.ID{statetest.Peer("a"), statetest.Peer("b")},
		MaxDepth:    -1,
		Timestamp:   time.Unix(1_600_000_000, 0),
	}
	for _, f := range change {
		f(&pin)
	}
	return pin
}

func pinItem(tb testing.TB, pin api.Pin) item {
	tb.Helper()
	return item{cid: pin.Cid, value: encode(tb, pin)}
}

// oldItem is encoded as no current version does it, with a field that is unknown.
func oldItem(tb testing.TB, pin api.Pin) item {
	tb.Helper()
	return item{cid: pin.Cid, value: append(encode(tb, pin), 0xa0, 0x06, 0x01)}
}

// pinItems returns n pins.
func pinItems(tb testing.TB, n int) []item {
	tb.Helper()
	items := make([]item, n)
	for i := range items {
		items[i] = pinItem(tb, testPin(fmt.Sprint("pin ", i)))
	}
	return items
}

// mixedItems returns pins, some of them encoded differently, and bad records of all
// kinds between them.
func mixedItems(tb testing.TB, n int) []item {
	tb.Helper()
	items := pinItems(tb, n)
	for i := range items {
		switch i % 11 {
		case 3:
			items[i] = oldItem(tb, testPin(fmt.Sprint("old ", i)))
		case 5:
			items[i] = item{bad: "the source cannot read it"}
		case 7:
			items[i].value = nil
		case 9:
			items[i].value = []byte("this is no protobuf")
		}
	}
	return items
}

// wanted is what a pinset should hold of the items, by CID: the last good one.
func wanted(items []item) (values map[string]string, bad int64) {
	values = make(map[string]string)
	for _, it := range items {
		if _, err := decodePin(it.cid, it.value); err != nil || it.bad != "" {
			bad++
			continue
		}
		values[string(it.cid.Bytes())] = string(it.value)
	}
	return values, bad
}

// inOrder checks at each checkpoint that all that lies before the position is in the
// pinset, and that what is counted lies before it.
func inOrder(tb testing.TB, src *fakeSource, dst *fakeTarget) func(state.Migration) {
	return func(m state.Migration) {
		before, bad := wanted(src.items[:m.Read])
		for key := range before {
			if _, ok := dst.rows[key]; !ok {
				tb.Errorf("the position is after record %d, and a pin before it is not in the pinset", m.Read)
				return
			}
		}
		if m.Bad != bad {
			tb.Errorf("%d bad records are counted before record %d: want %d", m.Bad, m.Read, bad)
		}
		report, err := StoredReport(m)
		if err != nil {
			tb.Error(err)
			return
		}
		if want := min(bad, listed); int64(len(report.BadRecords)) != want {
			tb.Errorf("the report after record %d names %d bad records: want %d", m.Read, len(report.BadRecords), want)
		}
		if m.Position == nil != (m.Read == 0) {
			tb.Errorf("the position after record %d is %q", m.Read, m.Position)
		}
	}
}

// repeated is a source that starts again at its end, numbers included.
type repeated struct{ *fakeSource }

func (r repeated) Read(ctx context.Context, from source.Position, f func(source.Record) error, bad func(source.Bad) error) error {
	if err := r.fakeSource.Read(ctx, from, f, bad); err != nil {
		return err
	}
	return r.fakeSource.Read(ctx, source.Position{}, f, bad)
}
