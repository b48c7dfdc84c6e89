package membership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

var errDown = errors.New("the database is down")

const (
	interval = 10 * time.Second
	ttl      = 2 * interval
	// settled is when a View is not frozen any more that was a moment ago.
	settled = ttl + interval
)

// table is a Members in memory.
type table struct {
	mu      sync.Mutex
	rows    map[peer.ID]state.Member
	expires map[peer.ID]time.Time
	notes   map[peer.ID]state.LastBeat

	readErr, beatErr, putErr, noteErr error
	// lostAnswer makes the next PutMember succeed and say that it failed.
	lostAnswer bool
	// stall is how long the next read takes, whatever its context says.
	stall time.Duration
	// beforePut runs once before a PutMember, unlocked.
	beforePut func()

	reads, beats, puts int
}

func newTable() *table {
	return &table{rows: make(map[peer.ID]state.Member), expires: make(map[peer.ID]time.Time), notes: make(map[peer.ID]state.LastBeat)}
}

func (t *table) ListMembers(context.Context) ([]state.Member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if t.readErr != nil {
		return nil, t.readErr
	}
	var rows []state.Member
	for id, row := range t.rows {
		if e, ok := t.expires[id]; ok && !time.Now().Before(e) {
			row = identity(row)
		}
		rows = append(rows, row)
	}
	if stall := t.stall; stall > 0 {
		t.stall = 0
		t.mu.Unlock()
		time.Sleep(stall)
		t.mu.Lock()
	}
	return rows, nil
}

func (t *table) PutMember(_ context.Context, m, was state.Member) error {
	t.mu.Lock()
	before := t.beforePut
	t.beforePut = nil
	t.mu.Unlock()
	if before != nil {
		before()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.puts++
	if t.putErr != nil {
		return t.putErr
	}
	old := t.rows[m.ID]
	if old.Incarnation != was.Incarnation || !old.Leaving.Equal(was.Leaving) || !old.Removed.Equal(was.Removed) {
		return fmt.Errorf("writing peer %s: %w", m.ID, state.ErrMemberChanged)
	}
	m.Beat, m.BeatOf, m.TTL, m.Metrics = old.Beat, old.BeatOf, old.TTL, old.Metrics
	t.rows[m.ID] = m
	if t.lostAnswer {
		t.lostAnswer = false
		return errDown
	}
	return nil
}

func (t *table) Beat(_ context.Context, id peer.ID, h state.Heartbeat) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beats++
	if t.beatErr != nil {
		return t.beatErr
	}
	row, ok := t.rows[id]
	if !ok {
		return nil
	}
	row.Beat, row.BeatOf, row.TTL, row.Metrics = h.Beat, h.Incarnation, h.TTL, slices.Clone(h.Metrics)
	t.rows[id], t.expires[id] = row, time.Now().Add(h.TTL)
	return nil
}

func (t *table) PutLastBeat(_ context.Context, id peer.ID, last state.LastBeat) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := errors.Join(t.beatErr, t.noteErr); err != nil {
		return err
	}
	t.notes[id] = last
	return nil
}

func (t *table) LastBeats(_ context.Context, ids []peer.ID) (map[peer.ID]state.LastBeat, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := errors.Join(t.readErr, t.noteErr); err != nil {
		return nil, err
	}
	notes := maps.Clone(t.notes)
	maps.DeleteFunc(notes, func(id peer.ID, _ state.LastBeat) bool { return !slices.Contains(ids, id) })
	return notes, nil
}

func (t *table) DatabaseTime() time.Time { return time.Now() }

func (t *table) set(f func(*table)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t)
}

func (t *table) row(id peer.ID) state.Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rows[id]
}

func (t *table) edit(id peer.ID, f func(*state.Member)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.rows[id]
	row.ID = id
	f(&row)
	t.rows[id] = row
}

func (t *table) fail(err error) {
	t.set(func(t *table) { t.readErr, t.beatErr, t.putErr = err, err, err })
}

func (t *table) counts() (reads, beats, puts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads, t.beats, t.puts
}

// inBubble runs a test with a table under a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T, db *table)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newTable()) })
}

func options(db state.Members, id peer.ID) Options {
	return Options{Members: db, ID: id, Name: "name-" + string(id), Instance: "host-" + string(id), Interval: interval}
}

// mover are the options of a peer that gives pins of those that are gone to others.
func mover(db state.Members, id peer.ID) Options {
	opts := options(db, id)
	opts.HandOver = func() bool { return true }
	return opts
}

func mustClaim(t *testing.T, opts Options) *Monitor {
	t.Helper()
	m, err := Claim(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// startPeer claims and starts, and stops with the test.
func startPeer(t *testing.T, opts Options) *Monitor {
	t.Helper()
	m := mustClaim(t, opts)
	m.Start(nil)
	t.Cleanup(func() { stop(t, m) })
	synctest.Wait()
	return m
}

func stop(t *testing.T, m *Monitor) {
	t.Helper()
	if err := m.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func metric(name, value string, ttl time.Duration) api.Metric {
	m := api.Metric{Name: name, Value: value, Valid: true}
	m.SetTTL(ttl)
	return m
}

func publish(t *testing.T, m *Monitor, name, value string, ttl time.Duration) {
	t.Helper()
	if err := m.PublishMetric(t.Context(), metric(name, value, ttl)); err != nil {
		t.Fatal(err)
	}
}

func wantPeers(t *testing.T, m *Monitor, want ...peer.ID) {
	t.Helper()
	got, err := m.Peers(t.Context())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Peers = %q, %v; want %q", got, err, want)
	}
}

func wantAlerts(t *testing.T, m *Monitor, want ...peer.ID) {
	t.Helper()
	var got []peer.ID
	for len(m.Alerts()) > 0 {
		a := <-m.Alerts()
		if a.Name != "heartbeat" {
			t.Errorf("an alert is named %q", a.Name)
		}
		got = append(got, a.Peer)
	}
	slices.SortFunc(got, compareIDs)
	if !slices.Equal(got, want) {
		t.Errorf("alerts for %q, want %q", got, want)
	}
}

func get(t *testing.T, m *Monitor, id peer.ID) Peer {
	t.Helper()
	p, ok := m.View().Get(id)
	if !ok {
		t.Fatalf("peer %s is not in the view", id)
	}
	return p
}

// values are peer=value of LatestMetrics.
func values(m *Monitor, name string) []string {
	var all []string
	for _, metric := range m.LatestMetrics(context.Background(), name) {
		all = append(all, string(metric.Peer)+"="+metric.Value)
	}
	return all
}

func wantValues(t *testing.T, m *Monitor, name string, want ...string) {
	t.Helper()
	if got := values(m, name); !slices.Equal(got, want) {
		t.Errorf("metrics %s = %q, want %q", name, got, want)
	}
}
