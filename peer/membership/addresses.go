package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxAddresses is how many addresses of a peer are kept.
const maxAddresses = 64

// listening is where a live peer can be reached, for some time.
type listening struct {
	id        peer.ID
	addresses []string
	ttl       time.Duration
}

func (p *member) listening() listening {
	return listening{id: p.row.ID, addresses: p.row.Addresses, ttl: 2 * p.ttl}
}

// Connect gives the addresses of the live peers to the peerstore of h, from now
// on and for as long as they send heartbeats. It opens no connections.
func (m *Monitor) Connect(h host.Host) {
	now := time.Now()
	m.mu.Lock()
	m.host = h
	var known []listening
	for id, p := range m.members {
		if id != m.opts.ID && p.live && now.Sub(p.heard) <= p.ttl {
			known = append(known, p.listening())
		}
	}
	m.mu.Unlock()
	m.addAddresses(known)
}

func (m *Monitor) addAddresses(peers []listening) {
	m.mu.RLock()
	h := m.host
	m.mu.RUnlock()
	if h == nil {
		return
	}
	for _, p := range peers {
		addresses := make([]ma.Multiaddr, 0, len(p.addresses))
		for _, text := range p.addresses[:min(len(p.addresses), maxAddresses)] {
			a, err := ma.NewMultiaddr(text)
			if err != nil {
				logger.Debugf("passing over an address of peer %s: %s", p.id, err)
				continue
			}
			addresses = append(addresses, a)
		}
		h.Peerstore().AddAddrs(p.id, addresses, p.ttl)
	}
}

// keepAddresses writes where this peer listens whenever that changes. It is apart
// from the heartbeats, which must not wait for it.
func (m *Monitor) keepAddresses(addresses func() []ma.Multiaddr) {
	told := false
	for {
		err := m.writeAddresses(m.ctx, texts(addresses()))
		if err != nil && !told && m.ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("others do not learn where this peer listens: %s", err)
		}
		told = err != nil
		if pause(m.ctx, m.opts.Interval) != nil {
			return
		}
	}
}

// writeAddresses writes them if they are not those of the last read.
func (m *Monitor) writeAddresses(ctx context.Context, addresses []string) error {
	m.mu.RLock()
	self, known := m.members[m.opts.ID]
	same := known && slices.Equal(self.row.Addresses, addresses)
	m.mu.RUnlock()
	if same || len(addresses) == 0 || !m.mayBeat() {
		return nil
	}
	if err := m.writes.acquire(ctx); err != nil {
		return err
	}
	defer m.writes.release()
	// A fresh read, so that a removal just now is not undone.
	rows, err := m.read(ctx)
	if err != nil {
		return err
	}
	row, ok := find(rows, m.opts.ID)
	if !ok || row.Incarnation != m.incarnation || !row.Removed.IsZero() {
		return nil
	}
	was := row
	row.Addresses = addresses
	ctx, cancel := context.WithTimeout(ctx, m.ttl)
	defer cancel()
	err = m.opts.Members.PutMember(ctx, identity(row), was)
	if err != nil && !errors.Is(err, state.ErrMemberChanged) { // seen by the next read
		return fmt.Errorf("writing the addresses of this peer: %w", err)
	}
	return nil
}

// texts are in order, so that another order is no change.
func texts(addresses []ma.Multiaddr) []string {
	all := make([]string, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, a.String())
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxAddresses)]
}
