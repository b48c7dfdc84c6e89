package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// errNoCandidates says that too few peers could take a pin.
var errNoCandidates = errors.New("not enough peers can take the pin")

// classes are the peers that count for a pin, with their metrics.
type classes struct {
	// holders are those of the allocations that count, in their order.
	holders []peer.ID
	// available is how many others could take the pin.
	available int
	// current are the metrics of the holders, candidates those of the others.
	current, candidates metricsSet
}

// classify divides the peers as upstream's filterMetrics does: of the others
// only those with all the metrics count. counts says who does so otherwise. A
// holder that lacks a metric for a moment counts, unlike upstream: others would
// get its pins, and it would drop them before they are there. The peers that the
// user asked for have no part in this: they are not stored.
func classify(metrics peerMetrics, pin api.Pin, counts func(p peer.ID, allocated bool) bool) classes {
	c := classes{current: metricsSet{}, candidates: metricsSet{}}
	for _, p := range pin.Allocations {
		if counts(p, true) {
			c.holders = append(c.holders, p)
			c.current.add(metrics.of[p])
		}
	}
	for p, ms := range metrics.of {
		if metrics.all(p) && !slices.Contains(pin.Allocations, p) && counts(p, false) {
			c.available++
			c.candidates.add(ms)
		}
	}
	return c
}

// peerMetrics are the metrics that a peer must have to be given a pin, of all peers. It
// is never changed, and read once for many pins.
type peerMetrics struct {
	names int
	of    map[peer.ID][]api.Metric
}

func byPeer(set api.MetricsSet) peerMetrics {
	metrics := peerMetrics{names: len(set), of: make(map[peer.ID][]api.Metric)}
	for _, some := range set {
		for _, m := range some {
			metrics.of[m.Peer] = append(metrics.of[m.Peer], m)
		}
	}
	return metrics
}

// all tells whether a peer has all of them: there is at most one of a name for each peer.
func (m peerMetrics) all(p peer.ID) bool { return len(m.of[p]) == m.names }

// metrics reads them as they are now, from memory.
func (r *Reconciler) metrics(ctx context.Context) peerMetrics {
	set := make(api.MetricsSet)
	for _, name := range r.opts.Allocator.Metrics() {
		set[name] = r.opts.Metrics(ctx, name)
	}
	return byPeer(set)
}

// metricsSet has the metrics of some peers, by name.
type metricsSet api.MetricsSet

func (s metricsSet) add(metrics []api.Metric) {
	for _, m := range metrics {
		s[m.Name] = append(s[m.Name], m)
	}
}

// fill does what upstream's obtainAllocations does with a pin that has too few
// holders: they keep it, and others get it up to its maximum. It returns nil
// when there are enough. Unlike upstream it takes the pin from nobody when there
// are too many: settle does, once enough of them have it.
func fill(ctx context.Context, allocator Allocator, pin api.Pin, c classes) ([]peer.ID, error) {
	needed := pin.ReplicationFactorMin - len(c.holders)
	if needed <= 0 {
		return nil, nil
	}
	if c.available < needed {
		return nil, errNoCandidates
	}
	chosen, err := allocator.Allocate(ctx, pin.Cid, api.MetricsSet(c.current), api.MetricsSet(c.candidates), api.MetricsSet{})
	if err != nil {
		return nil, fmt.Errorf("choosing peers for the pin of %s: %w", pin.Cid, err)
	}
	if len(chosen) < needed {
		return nil, errNoCandidates
	}
	wanted := max(needed, pin.ReplicationFactorMax-len(c.holders))
	return append(slices.Clone(c.holders), chosen[:min(wanted, len(chosen))]...), nil
}

// classes divides the peers for a pin that those to avoid shall not hold. A peer
// that leaves gets nothing new.
func (r *Reconciler) classes(ctx context.Context, view membership.View, metrics peerMetrics, pin api.Pin, avoid func(peer.ID) bool) classes {
	return classify(metrics, pin, func(p peer.ID, allocated bool) bool {
		member, ok := view.Get(p)
		if !ok || !member.Live || member.Removed || member.Role == membership.RoleAPI || member.Leaving && !allocated {
			return false
		}
		return !avoid(p) && r.suits(ctx, p)
	})
}

// suits tells whether the user wants pins on the peer.
func (r *Reconciler) suits(ctx context.Context, p peer.ID) bool {
	if r.opts.Trusted == nil || !r.opts.OnlyTrusted && !r.opts.OnlyUntrusted {
		return true
	}
	if r.opts.Trusted(ctx, p) {
		return !r.opts.OnlyUntrusted
	}
	return !r.opts.OnlyTrusted
}
