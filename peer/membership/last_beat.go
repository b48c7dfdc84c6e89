package membership

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// DefaultLastBeatEvery is how often a peer notes that it runs. What others know of
// its death when they start later is as exact as that.
const DefaultLastBeatEvery = 5 * time.Minute

// clusterClock is the clock by which peers note that they run. It goes on only while
// some peer can judge others and moves their pins. By the time of day, whoever starts second after a
// weekend without power would take the others for long dead: the first one has just
// noted that it runs.
type clusterClock struct {
	// zero is what the clock showed when this process could judge for no time yet.
	// known is false before the notes of others were read.
	zero  time.Time
	known bool
	// stored are the notes of all peers as of the last read, newest the last of them.
	stored map[peer.ID]state.LastBeat
	newest time.Time
}

// at is what the clock shows when the process could judge for so long.
func (c *clusterClock) at(judged time.Duration) time.Time { return c.zero.Add(judged) }

// read takes over notes, and goes on from the newest of them if that is ahead, or if
// this peer moves no pins: for such a one time passes only as others note it. now is for
// the first peer of all.
// Action Start of spec/Moves.tla.
func (c *clusterClock) read(notes map[peer.ID]state.LastBeat, judged time.Duration, now time.Time, moves bool) {
	var newest time.Time
	for _, note := range notes {
		if note.At.After(newest) {
			newest = note.At
		}
	}
	switch {
	case newest.IsZero() && !c.known:
		c.zero = now.Round(0).Add(-judged)
	case newest.IsZero():
	case !c.known || !moves || newest.After(c.at(judged)):
		c.zero = newest.Add(-judged)
	}
	c.known, c.stored, c.newest = true, notes, newest
}

// died is when a peer died that was not seen live, on the scale of judged. Without a
// note it is the start of this process, and while nobody knows it is now.
func (c *clusterClock) died(last state.LastBeat, judged time.Duration) time.Duration {
	switch {
	case !c.known:
		return judged
	case last.At.IsZero():
		return 0
	}
	return min(last.At.Sub(c.zero), judged)
}

// keepLastBeat notes again and again that this peer runs.
func (m *Monitor) keepLastBeat() {
	failed, odd := false, ""
	for {
		wait := m.opts.LastBeatEvery
		err := m.noteLastBeat(m.ctx)
		if err != nil {
			wait = min(wait, m.opts.Interval)
			if !failed && m.ctx.Err() == nil {
				state.Failure(err, logger.Warnf, logger.Debugf)("peers that start later may take this one for dead for longer than it is: %s", err)
			}
		}
		failed = err != nil
		if text := contradiction(m.View().Peers); text != odd {
			odd = text
			if text == "" {
				logger.Info("the zones of the peers do not contradict each other any more")
			} else {
				logger.Warnf("the zones of the peers contradict each other: %s; correct state.scylla.zone there, until then the zones hold up fewer moves than they should", text)
			}
		}
		if pause(m.ctx, wait) != nil {
			return
		}
	}
}

// noteLastBeat reads the notes of all peers, and then writes this one's. It is not
// written before the others' were read. While only peers run that move no pins nobody
// could act on a death, and no time must pass: such a one notes the newest that it has
// read, so that it counts when it dies. A peer that holds no pins counts for nothing.
// Action Tick of spec/Moves.tla.
func (m *Monitor) noteLastBeat(ctx context.Context) error {
	if !m.mayBeat() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	m.mu.RLock()
	ids := slices.Collect(maps.Keys(m.members))
	m.mu.RUnlock()
	notes, err := m.opts.Members.LastBeats(ctx, ids)
	if err != nil {
		return err
	}
	self := Peer{Role: m.opts.Role}
	moves := self.Works() && m.handsOver()
	m.mu.Lock()
	now := time.Now()
	judged := m.sight.judgedBy(now)
	m.clock.read(notes, judged, m.opts.Members.DatabaseTime(), moves)
	m.peers = m.snapshot(now)
	at := m.clock.at(judged)
	if !moves {
		at = m.clock.newest
	}
	m.mu.Unlock()
	if !self.Holds() || at.IsZero() {
		return nil
	}
	return m.opts.Members.PutLastBeat(ctx, m.opts.ID, state.LastBeat{At: at, Zone: m.opts.Zone})
}

// contradiction says what is wrong with the zones of the peers, empty if nothing is:
// where some have one, all should.
func contradiction(peers []Peer) string {
	var with, without []Peer
	for _, p := range peers {
		switch {
		case p.Removed || !p.Holds() || !p.Live:
		case p.Zone == "":
			without = append(without, p)
		default:
			with = append(with, p)
		}
	}
	if len(with) == 0 || len(without) == 0 {
		return ""
	}
	return fmt.Sprintf("peer %s (%s) is in zone %q; in none: %d, such as peer %s (%s)",
		with[0].ID, with[0].Name, with[0].Zone, len(without), without[0].ID, without[0].Name)
}
