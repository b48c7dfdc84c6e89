package status

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// merge puts together what the peers say of each CID.
type merge struct {
	s       *Service
	ctx     context.Context
	filter  api.TrackerStatus
	out     chan<- api.GlobalPinInfo
	members []membership.Peer
	sources []*source
	entries *entries
	heads   heads
	// walk says that others follows.
	walk bool
	// full are the errors of peers whose queue is full.
	full error
}

func (m *merge) run() error {
	for _, src := range m.sources {
		if err := m.next(src); err != nil {
			return err
		}
	}
	for len(m.heads) > 0 {
		if err := m.one(); err != nil {
			return err
		}
	}
	return m.full
}

// next takes the next entry of a source.
func (m *merge) next(src *source) error {
	select {
	case info, more := <-src.infos:
		switch {
		case !more && errors.Is(src.err, errFull): // the others must not stop for that
			m.full = errors.Join(m.full, src.err)
			return nil
		case !more:
			return src.err
		}
		src.head = info
		heap.Push(&m.heads, src)
		return nil
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

// one sends what is said of the first CID.
func (m *merge) one() error {
	var all api.GlobalPinInfo
	first := m.heads[0].head.Cid
	var pin *api.Pin // nil if no entry tells of it
	answered := make(map[peer.ID]bool)
	for len(m.heads) > 0 && m.heads[0].head.Cid == first {
		src, _ := heap.Pop(&m.heads).(*source)
		info := src.head.PinInfo
		answered[src.peer.ID] = true
		corrupt := saysCorrupt(info)
		if !corrupt && info.Status.Match(held) { // an unpin does not tell of the pin
			pin = pinOf(info)
		}
		if info.Status.Match(m.filter) && (!corrupt || !m.walk) { // others tells of these
			all.Add(info)
		}
		if err := m.next(src); err != nil {
			return err
		}
	}
	if pin == nil {
		return m.send(all)
	}
	all.Name, all.Allocations, all.Origins, all.Created, all.Metadata = pin.Name, pin.Allocations, pin.Origins, pin.Timestamp, pin.Metadata
	if m.filter.Match(api.TrackerStatusRemote) {
		for _, p := range m.members {
			if !answered[p.ID] && !holds(pin, p) {
				all.Add(m.entries.make(m.ctx, p, *pin, api.TrackerStatusRemote, ""))
			}
		}
	}
	m.absent(&all, *pin)
	return m.send(all)
}

// absent adds an error for each peer that is to hold the pin and cannot be asked.
func (m *merge) absent(all *api.GlobalPinInfo, pin api.Pin) {
	if !m.filter.Match(api.TrackerStatusClusterError) {
		return
	}
	for p, problem := range m.s.absent(pin, m.members) {
		all.Add(m.entries.make(m.ctx, p, pin, api.TrackerStatusClusterError, problem))
	}
}

// pinOf is what an entry tells of its pin. One without allocations is for every peer.
func pinOf(info api.PinInfo) *api.Pin {
	pin := &api.Pin{Cid: info.Cid, Allocations: info.Allocations, Timestamp: info.Created}
	pin.Name, pin.Metadata, pin.Origins = info.Name, info.Metadata, info.Origins
	if len(info.Allocations) == 0 {
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	}
	return pin
}

func (m *merge) send(all api.GlobalPinInfo) error {
	if !all.Defined() {
		return nil
	}
	select {
	case m.out <- all:
		return nil
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

// others sends what no peer that was asked has to do with: pins that stand for others,
// those of peers that are not in the cluster, and those that cannot be decoded.
func (m *merge) others() error {
	return m.s.opts.Store.ScanPiece(m.ctx, 0, 1, func(pin api.Pin, _ state.Revision) error {
		var all api.GlobalPinInfo
		switch {
		case pin.Type == api.MetaType:
			if !m.filter.Match(api.TrackerStatusSharded) {
				return nil
			}
			for _, p := range m.members {
				all.Add(m.entries.make(m.ctx, p, pin, api.TrackerStatusSharded, ""))
			}
		case pin.IsPinEverywhere() || m.asked(pin):
			return nil
		default:
			for _, p := range m.members {
				if m.filter.Match(api.TrackerStatusRemote) && !holds(&pin, p) {
					all.Add(m.entries.make(m.ctx, p, pin, api.TrackerStatusRemote, ""))
				}
			}
			m.absent(&all, pin)
		}
		return m.send(all)
	}, func(c api.Cid, err error) {
		switch {
		case !c.Defined():
			logger.Errorf("listing pins: %s", err) // there is no entry without a CID
		case m.filter.Match(api.TrackerStatusClusterError):
			_ = m.send(m.s.corrupt(c, err)) // the scan ends with the context, too
		}
	})
}

// asked reports whether a peer that was asked holds the pin.
func (m *merge) asked(pin api.Pin) bool {
	return slices.ContainsFunc(m.sources, func(src *source) bool { return slices.Contains(pin.Allocations, src.peer.ID) })
}

// saysCorrupt reports whether an entry is of a pin that cannot be decoded.
func saysCorrupt(info api.PinInfo) bool {
	return info.Status == api.TrackerStatusClusterError && strings.Contains(info.Error, state.CorruptText(info.Cid))
}

// heads are the sources with an entry, that of the first CID first. It implements
// heap.Interface.
type heads []*source

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return h[i].head.at.Compare(h[j].head.at) < 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

func (h *heads) Push(x any) { *h = append(*h, x.(*source)) } //nolint:forcetypeassert // only sources are pushed

func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
