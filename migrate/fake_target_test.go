package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// row is a pin as the fake pinset stores it. One that was written by a condition
// has no ID.
type row struct {
	value       []byte
	id          string
	run, number int64
}

// fakeTarget keeps a pinset in memory, by the contract of package state.
type fakeTarget struct {
	tb testing.TB

	mu         sync.Mutex
	rows       map[string]row
	indexed    map[string]bool // what belongs to the row was written, too
	live       state.Live
	migrations map[string]state.Migration
	holder     int
	ops        []string
	// fail is asked before each operation. A bulk write that fails has written
	// half of its pins.
	fail func(op string, n int) error
	// stored is called with each migration that is stored.
	stored func(m state.Migration)
	// after is called when an operation has gone well.
	after func(op string)
}

func newFakeTarget(tb testing.TB) *fakeTarget {
	return &fakeTarget{tb: tb, rows: make(map[string]row), indexed: make(map[string]bool), migrations: make(map[string]state.Migration)}
}

// op begins an operation. The lock must be held.
func (t *fakeTarget) op(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.ops = append(t.ops, name)
	if t.fail == nil {
		return nil
	}
	return t.fail(name, len(t.ops))
}

func (t *fakeTarget) done(op string) {
	if t.after != nil {
		t.after(op)
	}
}

func (t *fakeTarget) Migrations(ctx context.Context) (state.Migrations, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.op(ctx, "migrations"); err != nil {
		return state.Migrations{}, err
	}
	return state.Migrations{Live: t.live, All: slices.Collect(maps.Values(t.migrations)), Holder: strconv.Itoa(t.holder)}, nil
}

func (t *fakeTarget) CountMigrated(ctx context.Context, id string, progress func(int64)) (own, others int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.op(ctx, "count"); err != nil {
		return 0, 0, err
	}
	for _, r := range t.rows {
		if r.id == id {
			own++
		} else {
			others++
		}
		progress(own + others)
	}
	return own, others, nil
}

func (t *fakeTarget) BeginMigration(ctx context.Context, m state.Migration, holder string) (state.Importer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.op(ctx, "begin"); err != nil {
		return nil, err
	}
	if m.Bulk && t.live.Yes() {
		return nil, state.ErrLive
	}
	if holder != strconv.Itoa(t.holder) {
		return nil, state.ErrMigrationTaken
	}
	t.holder++
	t.store(m)
	return &fakeImporter{t: t, holder: t.holder, m: m}, nil
}

func (t *fakeTarget) store(m state.Migration) {
	m.Position = bytes.Clone(m.Position)
	t.migrations[m.ID] = m
	if t.stored != nil {
		t.stored(m)
	}
}

func (t *fakeTarget) Update(ctx context.Context, c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.op(ctx, "update"); err != nil && !errors.Is(err, state.ErrOutcomeUnknown) {
		return err
	} else if err != nil {
		defer func() { t.fail = nil }()
		return errors.Join(t.update(c, f), err)
	}
	if err := t.update(c, f); err != nil {
		return err
	}
	t.done("update")
	return nil
}

func (t *fakeTarget) update(c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	key := string(c.Bytes())
	decode := func() *api.Pin {
		r, ok := t.rows[key]
		if !ok {
			return nil
		}
		pin, err := decodePin(c, r.value)
		if err != nil {
			t.tb.Errorf("an update of a row that is no pin: %v", err)
		}
		return &pin
	}
	// As another writer may get between, the function is called more than once.
	if _, err := f(decode()); err != nil {
		return err
	}
	next, err := f(decode())
	if err != nil {
		return err
	}
	if next == nil {
		delete(t.rows, key)
	} else {
		t.rows[key] = row{value: encode(t.tb, *next)}
	}
	if !t.live.Yes() {
		t.live = state.Live{By: "an update", Since: time.Unix(1_700_000_000, 0)}
	}
	return nil
}

func (t *fakeTarget) Get(ctx context.Context, c api.Cid) (api.Pin, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return api.Pin{}, err
	}
	r, ok := t.rows[string(c.Bytes())]
	if !ok {
		return api.Pin{}, state.ErrNotFound
	}
	return decodePin(c, r.value)
}

// user pins or, with a zero pin, unpins as a peer does.
func (t *fakeTarget) user(c api.Cid, pin api.Pin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.update(c, func(*api.Pin) (*api.Pin, error) {
		if !pin.Cid.Defined() {
			return nil, nil
		}
		return &pin, nil
	})
	if err != nil {
		t.tb.Error(err)
	}
}

func (t *fakeTarget) PieceOf(key []byte, pieces int) int {
	h := fnv.New32a()
	h.Write(key)
	return int(h.Sum32() % uint32(pieces))
}

func (t *fakeTarget) ScanValues(ctx context.Context, piece, pieces int, f func(key, value []byte) error) error {
	t.mu.Lock()
	err := t.op(ctx, "scan")
	found := make(map[string][]byte)
	for key, r := range t.rows {
		if t.PieceOf([]byte(key), pieces) == piece {
			found[key] = bytes.Clone(r.value)
		}
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	for key, value := range found {
		if err := f([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

// values returns what is stored, by CID.
func (t *fakeTarget) values() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	values := make(map[string]string)
	for key, r := range t.rows {
		values[key] = string(r.value)
	}
	return values
}

func (t *fakeTarget) opsNamed(name string) int {
	n := 0
	for _, op := range t.ops {
		if op == name {
			n++
		}
	}
	return n
}

// fakeImporter writes into a fakeTarget.
type fakeImporter struct {
	t      *fakeTarget
	holder int
	m      state.Migration
}

func (i *fakeImporter) Write(ctx context.Context, pins []state.BulkPin) error {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	if !i.m.Bulk {
		i.t.tb.Error("a bulk write in a conditional run")
	}
	err := i.t.op(ctx, "write")
	if err != nil {
		pins = pins[:len(pins)/2]
	}
	for _, pin := range pins {
		i.write(pin)
	}
	if err == nil {
		i.index(pins)
		i.t.done("write")
	}
	return err
}

func (i *fakeImporter) Index(ctx context.Context, pins []state.BulkPin) error {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	if err := i.t.op(ctx, "index"); err != nil {
		return err
	}
	i.index(pins)
	return nil
}

func (i *fakeImporter) index(pins []state.BulkPin) {
	for _, pin := range pins {
		i.t.indexed[string(pin.Pin.Cid.Bytes())] = true
	}
}

func (i *fakeImporter) write(pin state.BulkPin) {
	if decoded, err := decodePin(pin.Pin.Cid, pin.Value); err != nil || !decoded.Equals(pin.Pin) || pin.Number < 1 {
		i.t.tb.Errorf("record %d: the pin is not that of the value (%v)", pin.Number, err)
	}
	key := string(pin.Pin.Cid.Bytes())
	old, ok := i.t.rows[key]
	if ok && (old.id == "" || old.run > i.m.Run || old.run == i.m.Run && old.number > pin.Number) {
		return
	}
	i.t.rows[key] = row{value: bytes.Clone(pin.Value), id: i.m.ID, run: i.m.Run, number: pin.Number}
}

func (i *fakeImporter) Checkpoint(ctx context.Context, m state.Migration) error {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	if err := i.t.op(ctx, "checkpoint"); err != nil {
		return err
	}
	if m.ID != i.m.ID || m.Bulk != i.m.Bulk || m.Run != i.m.Run {
		i.t.tb.Errorf("checkpoint of run %d of %s, bulk %v: begun was run %d of %s, bulk %v", m.Run, m.ID, m.Bulk, i.m.Run, i.m.ID, i.m.Bulk)
	}
	if i.holder != i.t.holder {
		return fmt.Errorf("checkpoint: %w", state.ErrMigrationTaken)
	}
	if m.Bulk && i.t.live.Yes() {
		return fmt.Errorf("checkpoint: %w", state.ErrLive)
	}
	i.t.store(m)
	i.t.done("checkpoint")
	return nil
}

func (i *fakeImporter) Sweep(ctx context.Context, progress func(int64)) (removed int64, err error) {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	if err := i.t.op(ctx, "sweep"); err != nil {
		return 0, err
	}
	for key, r := range i.t.rows {
		if r.id == i.m.ID && r.run < i.m.Run {
			delete(i.t.rows, key)
			removed++
		}
	}
	progress(int64(len(i.t.rows)))
	return removed, nil
}

func encode(tb testing.TB, pin api.Pin) []byte {
	tb.Helper()
	value, err := pin.ProtoMarshal()
	if err != nil {
		tb.Fatal("encoding a pin: ", err)
	}
	return value
}
