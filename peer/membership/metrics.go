package membership

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxLogged is how many metrics of LogMetric are kept.
const maxLogged = 1024

// received is a metric of another peer.
type received struct {
	metric  api.Metric
	expires time.Time
	// current says that the last heartbeat had it.
	current bool
}

// metricKey names one metric of one peer.
type metricKey struct {
	peer peer.ID
	name string
}

// receive takes over the metrics of a heartbeat. Those that it does not have any
// more are kept for LatestForPeer.
func (p *member) receive(blob []byte, now time.Time, interval time.Duration) {
	metrics, err := decodeMetrics(blob)
	if err != nil && !p.garbled {
		logger.Warnf("passing over what peer %s (%s) publishes: %s", p.row.ID, p.row.Name, err)
	}
	p.garbled = err != nil
	for name, r := range p.metrics {
		r.current = false
		p.metrics[name] = r
	}
	for _, metric := range metrics {
		// The next look comes in half an interval of this peer, which may be
		// much longer than that of the sender.
		expires := now
		if metric.ttl > 0 {
			expires = now.Add(max(metric.ttl, interval))
		}
		metric.Peer, metric.Expire, metric.ReceivedAt = p.row.ID, expires.UnixNano(), now.UnixNano()
		p.metrics[metric.Name] = received{metric: metric.Metric, expires: expires, current: true}
	}
	for name, r := range p.metrics {
		if len(p.metrics) > maxMetrics && !r.current {
			delete(p.metrics, name)
		}
	}
}

// LatestMetrics returns the valid metrics of that name of the live peers that
// were not removed, one of each at most, in order of the peers. While the View
// is frozen, metrics do not expire. A ping is left out for peers of role "api",
// and all others for a peer that leaves, because pins are given to those that
// have them.
func (m *Monitor) LatestMetrics(_ context.Context, name string) []api.Metric {
	lagging := m.lagging()
	now := time.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	frozen := m.sight.frozen(now)
	metrics := []api.Metric{}
	add := func(metric api.Metric, expires time.Time) {
		if metric.Valid && (frozen || now.Before(expires)) {
			metrics = append(metrics, metric)
		}
	}
	// Who lacks a metric gets no pins.
	skip := func(row *state.Member) bool {
		return row.Role == RoleAPI && name == pingMetric || !row.Leaving.IsZero() && name != pingMetric
	}
	o, ok := m.own[name]
	if ok && !m.removed && !m.superseded && (m.opts.Role != RoleAPI || name != pingMetric) && (!lagging || name == pingMetric) {
		add(o.metric, o.expires)
	}
	for id, p := range m.members {
		if id == m.opts.ID || !p.live || !p.row.Removed.IsZero() || skip(&p.row) {
			continue
		}
		if r := p.metrics[name]; r.current {
			add(r.metric, r.expires)
		} else if fake, ok := m.logged[metricKey{id, name}]; ok {
			add(fake, time.Unix(0, fake.Expire))
		}
	}
	sort.Stable(api.MetricSlice(metrics))
	return metrics
}

// LatestForPeer returns the last metric of that name and peer, which may have
// expired. It has no name when there is none.
func (m *Monitor) LatestForPeer(_ context.Context, name string, id peer.ID) api.Metric {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if o, ok := m.own[name]; ok && id == m.opts.ID {
		return o.metric
	}
	p, ok := m.members[id]
	if !ok {
		return api.Metric{}
	}
	if r, ok := p.metrics[name]; ok {
		return r.metric
	}
	if p.live && p.row.Removed.IsZero() {
		return m.logged[metricKey{id, name}]
	}
	return api.Metric{}
}

// MetricNames returns the names of the metrics that any peer has published, in
// order.
func (m *Monitor) MetricNames(context.Context) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := []string{}
	for name := range m.own {
		names = append(names, name)
	}
	for _, p := range m.members {
		for name := range p.metrics {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// LogMetric keeps a metric that this peer made up for another one, as upstream
// does for each that it connects to. It is shown only for live peers, and not in
// place of one that the peer published.
func (m *Monitor) LogMetric(_ context.Context, metric api.Metric) error {
	if metric.Discard() || metric.Name == "" || metric.Peer == m.opts.ID {
		return nil
	}
	metric.ReceivedAt = time.Now().UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	key := metricKey{metric.Peer, metric.Name}
	if p, ok := m.members[metric.Peer]; ok {
		if _, real := p.metrics[metric.Name]; real {
			return nil
		}
	}
	if _, known := m.logged[key]; known || len(m.logged) < maxLogged {
		m.logged[key] = metric
	}
	return nil
}

// forgetLogged drops what expired or has a real metric by now.
func (m *Monitor) forgetLogged() {
	for key, metric := range m.logged {
		real := false
		if p, ok := m.members[key.peer]; ok {
			_, real = p.metrics[key.name]
		}
		if real || metric.Expired() {
			delete(m.logged, key)
		}
	}
}
