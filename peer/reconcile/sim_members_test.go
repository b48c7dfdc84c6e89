package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simTable is the table of the peers, and what they note.
type simTable struct {
	mu      sync.Mutex
	rows    map[peer.ID]state.Member
	expires map[peer.ID]time.Time
	notes   map[peer.ID]state.LastBeat
}

func newSimTable() *simTable {
	return &simTable{rows: map[peer.ID]state.Member{}, expires: map[peer.ID]time.Time{}, notes: map[peer.ID]state.LastBeat{}}
}

// removed and leaving tell what the table says of a peer.
func (t *simTable) removed(id peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.rows[id].Removed.IsZero()
}

func (t *simTable) leaving(id peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.rows[id].Leaving.IsZero()
}

// simMembers is the table as one process sees it.
type simMembers struct{ p *simProcess }

func (m simMembers) ListMembers(ctx context.Context) (rows []state.Member, err error) {
	err = m.p.request(ctx, "members", func() {
		t := m.p.s.table
		t.mu.Lock()
		defer t.mu.Unlock()
		for id, row := range t.rows {
			if !time.Now().Before(t.expires[id]) {
				row.Beat, row.BeatOf, row.TTL, row.Metrics = 0, state.Incarnation{}, 0, nil
			}
			rows = append(rows, row)
		}
	})
	slices.SortFunc(rows, func(a, b state.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return rows, err
}

func (m simMembers) PutMember(ctx context.Context, row, was state.Member) (err error) {
	fault := m.p.request(ctx, "put member "+string(row.ID), func() {
		m.p.s.with(func() {
			if err = m.p.s.table.put(row, was); err == nil {
				m.p.s.memberChanged(m.p, row, was)
			}
		})
	})
	return errors.Join(fault, err)
}

func (t *simTable) put(row, was state.Member) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.rows[row.ID]
	if old.Incarnation != was.Incarnation || !old.Leaving.Equal(was.Leaving) || !old.Removed.Equal(was.Removed) {
		return state.ErrMemberChanged
	}
	row.Beat, row.BeatOf, row.TTL, row.Metrics = old.Beat, old.BeatOf, old.TTL, old.Metrics
	t.rows[row.ID] = row
	return nil
}

func (m simMembers) Beat(ctx context.Context, id peer.ID, h state.Heartbeat) error {
	return m.p.request(ctx, "beat", func() {
		t := m.p.s.table
		t.mu.Lock()
		row := t.rows[id]
		row.Beat, row.BeatOf, row.TTL, row.Metrics = h.Beat, h.Incarnation, h.TTL, h.Metrics
		t.rows[id], t.expires[id] = row, time.Now().Add(h.TTL)
		t.mu.Unlock()
		if h.Beat > 0 {
			m.p.s.with(func() { m.p.node.beat = time.Now() })
		}
	})
}

func (m simMembers) PutLastBeat(ctx context.Context, id peer.ID, last state.LastBeat) error {
	return m.p.request(ctx, "note", func() {
		t := m.p.s.table
		t.mu.Lock()
		t.notes[id] = last
		t.mu.Unlock()
		m.p.s.with(func() {
			m.p.s.accrue()
			m.p.node.gone = 0
		})
	})
}

func (m simMembers) LastBeats(ctx context.Context, ids []peer.ID) (notes map[peer.ID]state.LastBeat, err error) {
	err = m.p.request(ctx, "notes", func() {
		t := m.p.s.table
		t.mu.Lock()
		defer t.mu.Unlock()
		notes = maps.Clone(t.notes)
		maps.DeleteFunc(notes, func(id peer.ID, _ state.LastBeat) bool { return !slices.Contains(ids, id) })
	})
	return notes, err
}

func (simMembers) DatabaseTime() time.Time { return time.Now() }
