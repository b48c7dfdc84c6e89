package membership

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// What becomes of peers is told to others by one of them: a peer tells itself that it has
// come, and of deaths, returns and removals tells the peer that has that work by the hash.
// Two that see different peers live may both tell, or the second when the first dies
// before it has. Nothing settles these events against the table later: each tells of what
// was read in it, so that no removal is told that was not written, and one whose writer has
// died is.

// note keeps what became of the process that runs, or ran, as a peer until it is told. It
// takes the place of what became of the peer before: what it is now is what matters. The
// caller holds the lock.
func (m *Monitor) note(p *member, kind state.EventKind, process state.Incarnation) {
	if m.opts.Tell != nil {
		p.untold = &state.PeerEvent{
			Kind: kind, ID: p.row.ID, Name: p.row.Name, Incarnation: process, At: m.opts.Members.DatabaseTime(),
		}
	}
}

// tellPeers tells what is to be told until the Monitor ends.
func (m *Monitor) tellPeers() {
	came := &state.PeerEvent{
		Kind: state.EventPeerCame, ID: m.opts.ID, Name: m.opts.Name, Incarnation: m.incarnation, At: m.opts.Members.DatabaseTime(),
	}
	failed := false
	for {
		err := m.tellAll(m.ctx, &came)
		if err != nil && !failed && m.ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("telling what becomes of peers, trying again: %s", err)
		}
		failed = err != nil
		if pause(m.ctx, m.opts.Interval) != nil {
			return
		}
	}
}

// tellAll tells that this peer has come, unless that is nil, and what is for this peer to
// tell of others. What was told is not told again.
func (m *Monitor) tellAll(ctx context.Context, came **state.PeerEvent) error {
	if *came != nil {
		if err := m.tell(ctx, **came); err != nil {
			return err
		}
		*came = nil
	}
	for _, event := range m.untold() {
		if !m.View().Mine([]byte("events/" + event.ID)) {
			continue
		}
		if err := m.tell(ctx, *event); err != nil {
			return err
		}
		m.mu.Lock()
		if p := m.members[event.ID]; p != nil && p.untold == event {
			p.untold = nil
		}
		m.mu.Unlock()
	}
	return nil
}

// untold is what nobody in this process has told.
func (m *Monitor) untold() (events []*state.PeerEvent) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, p := range m.members {
		if p.untold != nil {
			events = append(events, p.untold)
		}
	}
	return events
}

// tell tells what became of a peer, if anybody is told.
func (m *Monitor) tell(ctx context.Context, event state.PeerEvent) error {
	if m.opts.Tell == nil {
		return nil
	}
	if err := m.opts.Tell(ctx, event); err != nil {
		return fmt.Errorf("telling what became of peer %s: %w", event.ID, err)
	}
	return nil
}
