package membership

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// heartbeatAlert is the name of the alert for a peer that died. Upstream's
// handler of alerts named "ping" ends for ever when repinning is disabled.
const heartbeatAlert = "heartbeat"

// readAgain is the longest pause after a read that failed.
const readAgain = time.Second

// member is what is known of one peer.
type member struct {
	row  state.Member // who it is; not its heartbeat
	live bool
	// seen is set when it has sent a heartbeat since this process looks: the first one
	// that it finds may be of before a power cut that ended both.
	seen bool
	// heard is when its last heartbeat was first seen, or, when it was never
	// heard of, its row.
	heard     time.Time
	deadSince time.Time
	// died is what the sight had judged by then.
	died    time.Duration
	ttl     time.Duration
	beatOf  state.Incarnation
	beat    int64
	metrics map[string]received
	// untold is what became of it last, nil if that was told.
	untold *state.PeerEvent
	// garbled says that its metrics cannot be decoded, which was logged.
	garbled bool
}

// readMembers reads the table again and again.
func (m *Monitor) readMembers() {
	for {
		wait := m.opts.Interval / 2
		if _, err := m.read(m.ctx); err != nil {
			wait = min(wait, readAgain)
		}
		if pause(m.ctx, wait) != nil {
			return
		}
	}
}

// read reads the table and takes notice of what it says. One read follows the
// other, so that nothing goes back to what it was.
func (m *Monitor) read(ctx context.Context) ([]state.Member, error) {
	if err := m.reads.acquire(ctx); err != nil {
		return nil, fmt.Errorf("reading the peers: %w", err)
	}
	defer m.reads.release()
	asked := time.Now()
	limited, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	rows, err := m.opts.Members.ListMembers(limited)
	if err != nil {
		m.mu.Lock()
		// The end of a caller's context says nothing of the database.
		first := ctx.Err() == nil && m.sight.readFailed(time.Now())
		m.mu.Unlock()
		if first {
			state.Failure(err, logger.Warnf, logger.Debugf)("the peers cannot be read, until they are nobody is taken for dead: %s", err)
		}
		return nil, fmt.Errorf("reading the peers: %w", err)
	}
	n := m.observe(rows, asked)
	m.addAddresses(n.listening)
	if n.recovered {
		logger.Info("the peers can be read again")
	}
	if n.lost != nil {
		m.lost.Do(func() {
			if m.opts.Lost != nil {
				m.opts.Lost(n.lost)
			}
		})
	}
	return rows, nil
}

// news is what a read leads to besides the new View.
type news struct {
	recovered bool
	listening []listening
	lost      error
}

// observe takes notice of rows that were asked for at the given time.
// Action Notice of spec/Moves.tla.
func (m *Monitor) observe(rows []state.Member, asked time.Time) news {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	n := news{recovered: m.sight.blind}
	m.sight.readDone(now)
	listed := make(map[peer.ID]bool, len(rows))
	for i := range rows {
		row := &rows[i]
		listed[row.ID] = true
		p, known := m.members[row.ID]
		if !known {
			p = &member{heard: now, ttl: m.ttl, metrics: make(map[string]received)}
			m.members[row.ID] = p
		}
		moved := !slices.Equal(p.row.Addresses, row.Addresses)
		dead := !p.deadSince.IsZero()
		left, process := known && p.row.Removed.IsZero() && !row.Removed.IsZero(), p.row.Incarnation
		fresh := p.notice(row, now, m.opts.Interval)
		p.seen = p.seen || known && fresh
		if row.ID == m.opts.ID {
			n.lost = m.noticeSelf(p)
			continue
		}
		switch {
		case left: // the removal has given it another incarnation
			m.note(p, state.EventPeerLeft, process)
		case dead && fresh:
			m.note(p, state.EventPeerCame, p.row.Incarnation)
		}
		if fresh || moved && p.live {
			n.listening = append(n.listening, p.listening())
		}
		m.judge(p, asked, now)
	}
	for id := range m.members {
		if !listed[id] {
			delete(m.members, id)
		}
	}
	// Rows are never deleted: one that is gone was not wanted any more.
	self, ok := m.members[m.opts.ID]
	m.removed = !ok || !self.row.Removed.IsZero()
	m.forgetLogged()
	m.peers = m.snapshot(now)
	return n
}

// notice takes over what the row says, and tells whether it has a new heartbeat.
func (p *member) notice(row *state.Member, now time.Time, interval time.Duration) (fresh bool) {
	p.row = *row
	p.row.Metrics = nil
	// Between a restart and the first heartbeat, the row has that of an
	// earlier process.
	if row.Beat <= 0 || row.BeatOf != row.Incarnation || row.BeatOf == p.beatOf && row.Beat <= p.beat {
		return false
	}
	p.beatOf, p.beat = row.BeatOf, row.Beat
	p.live, p.heard, p.deadSince = true, now, time.Time{}
	if row.TTL > 0 {
		p.ttl = row.TTL
	}
	p.receive(row.Metrics, now, interval)
	return true
}

// noticeSelf returns an error when another process runs as this peer.
func (m *Monitor) noticeSelf(p *member) error {
	// A removal changes the incarnation, too: see remove.
	if p.row.Removed.IsZero() && p.row.Incarnation != m.incarnation {
		m.superseded = true
	}
	p.live, p.deadSince = !m.superseded, time.Time{}
	if !m.superseded {
		return nil
	}
	p.deadSince = time.Now()
	return fmt.Errorf("peer ID %s was taken over by another process, %s: this one stops", m.opts.ID, p.row.Instance)
}

// judge declares a peer dead that was not heard of for too long.
func (m *Monitor) judge(p *member, asked, now time.Time) {
	if !p.deadSince.IsZero() || !m.sight.outlived(asked, p.heard, p.ttl) {
		return
	}
	p.deadSince, p.died = now, m.sight.judgedBy(now)
	if !p.live {
		return // nobody has seen it alive
	}
	p.live = false
	if !p.row.Removed.IsZero() {
		return
	}
	m.note(p, state.EventPeerDied, p.row.Incarnation)
	logger.Warnf("peer %s (%s) sent no heartbeat for %s", p.row.ID, p.row.Name, now.Sub(p.heard).Round(time.Second))
	alert := api.Alert{
		Metric:      api.Metric{Name: heartbeatAlert, Peer: p.row.ID, Expire: p.heard.Add(p.ttl).UnixNano(), ReceivedAt: p.heard.UnixNano()},
		TriggeredAt: now,
	}
	select {
	case m.alerts <- alert:
	default:
		logger.Warnf("an alert for peer %s is dropped: %d wait already", p.row.ID, alertsKept)
	}
}

// snapshot returns the peers of a View as of now.
func (m *Monitor) snapshot(now time.Time) []Peer {
	judged := m.sight.judgedBy(now)
	peers := make([]Peer, 0, len(m.members))
	for _, p := range m.members {
		last := m.clock.stored[p.row.ID]
		died, zone := p.died, last.Zone
		if !p.seen {
			died = m.clock.died(last, judged)
		}
		if p.row.ID == m.opts.ID {
			zone = m.opts.Zone // its note may be of an earlier process
		}
		peers = append(peers, Peer{
			ID: p.row.ID, Name: p.row.Name, Role: p.row.Role,
			Live: p.live, Seen: p.seen, Heard: p.heard, DeadSince: p.deadSince,
			Died: died, Zone: zone,
			Leaving: !p.row.Leaving.IsZero(), Removed: !p.row.Removed.IsZero(), RemovedAt: p.row.Removed,
			Incarnation: p.row.Incarnation,
		})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return compareIDs(a.ID, b.ID) })
	return peers
}

// find returns the row of a peer.
func find(rows []state.Member, id peer.ID) (state.Member, bool) {
	for _, row := range rows {
		if row.ID == id {
			return row, true
		}
	}
	return state.Member{}, false
}
