package membership

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// gather is how long a wanted heartbeat waits for more metrics.
	gather = 20 * time.Millisecond
	// beatAgain is the longest pause after a heartbeat that failed.
	beatAgain = time.Second
)

// ownMetric is a metric of this peer.
type ownMetric struct {
	metric  api.Metric
	ttl     time.Duration
	expires time.Time
	sent    bool
}

// PublishMetric keeps a metric of this peer until it expires and sends it with
// the heartbeats. A ping, or a metric of a new name, makes one within 50 ms.
// Metrics that are not valid or have expired are dropped, as upstream does.
func (m *Monitor) PublishMetric(_ context.Context, metric api.Metric) error {
	ttl := metric.GetTTL()
	switch {
	case !metric.Valid || ttl <= 0:
		logger.Warnf("dropping a metric that is not valid: %s", metric)
		return nil
	case metric.Name == "" || !utf8.ValidString(metric.Name):
		return fmt.Errorf("a metric needs a name that is text, not %q", metric.Name)
	}
	now := time.Now()
	metric.Peer, metric.ReceivedAt = m.opts.ID, now.UnixNano()
	m.mu.Lock()
	defer m.mu.Unlock()
	old, known := m.own[metric.Name]
	if !known && len(m.own) >= maxMetrics {
		maps.DeleteFunc(m.own, func(_ string, o *ownMetric) bool { return !now.Before(o.expires) })
	}
	if !known && len(m.own) >= maxMetrics {
		return fmt.Errorf("metric %q: a peer has at most %d", metric.Name, maxMetrics)
	}
	sent := known && old.sent
	m.own[metric.Name] = &ownMetric{metric: metric, ttl: ttl, expires: now.Add(ttl), sent: sent}
	if metric.Name == pingMetric || !sent {
		select {
		case m.kick <- struct{}{}:
		default:
		}
	}
	return nil
}

// sendHeartbeats writes one in each interval, and sooner when one is wanted.
func (m *Monitor) sendHeartbeats() {
	left := "" // what was left out of the last one, for the log
	for beat := int64(1); ; beat++ {
		wait := m.opts.Interval
		if m.mayBeat() {
			if err := m.sendHeartbeat(beat, &left); err != nil {
				wait = min(wait/4, beatAgain)
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-m.ctx.Done():
		case <-t.C:
		case <-m.kick:
			// An error ends this with the loop.
			_ = pause(m.ctx, gather)
			m.unkick()
		}
		t.Stop()
		if m.ctx.Err() != nil {
			return
		}
	}
}

// mayBeat tells whether this process still runs as the peer.
func (m *Monitor) mayBeat() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return !m.superseded && !m.removed
}

// unkick forgets a wish that the coming heartbeat fulfils.
func (m *Monitor) unkick() {
	select {
	case <-m.kick:
	default:
	}
}

// sendHeartbeat writes one, and notes whether it could: see sight.
// Action Beat of spec/Moves.tla.
func (m *Monitor) sendHeartbeat(beat int64, left *string) error {
	metrics := m.toSend(time.Now())
	blob, names, err := encodeMetrics(metrics)
	if err != nil {
		// A heartbeat without metrics still says that this peer lives.
		names = []string{err.Error()}
	}
	if text := strings.Join(names, ", "); text != *left {
		*left = text
		if text != "" {
			logger.Errorf("these metrics have no room in the heartbeat: %s", text)
		}
	}
	ctx, cancel := context.WithTimeout(m.ctx, m.patience())
	defer cancel()
	err = m.opts.Members.Beat(ctx, m.opts.ID, state.Heartbeat{
		Incarnation: m.incarnation, Beat: beat, TTL: m.ttl, Metrics: blob,
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		if m.ctx.Err() == nil && m.sight.beatFailed(time.Now()) {
			state.Failure(err, logger.Warnf, logger.Debugf)("heartbeats cannot be written, until they can nobody is taken for dead: %s", err)
		}
		return fmt.Errorf("writing a heartbeat: %w", err)
	}
	m.beaten = time.Now()
	if m.sight.beatDone(time.Now()) {
		logger.Info("heartbeats can be written again")
	}
	for _, metric := range metrics {
		if o, ok := m.own[metric.Name]; ok && !slices.Contains(names, metric.Name) {
			o.sent = true
		}
	}
	return nil
}

// toSend returns the metrics that a heartbeat carries now. They count for as
// long as their source said, and at least as long as the heartbeat: the next one
// renews them. What was left of that time when they came is rounded up to
// seconds: others read the metrics again when a byte of them has changed.
func (m *Monitor) toSend(now time.Time) []ttlMetric {
	lagging := m.lagging()
	m.mu.RLock()
	defer m.mu.RUnlock()
	var metrics []ttlMetric
	for name, o := range m.own {
		if now.Before(o.expires) && (!lagging || name == pingMetric) {
			metrics = append(metrics, ttlMetric{Metric: o.metric, ttl: wholeSeconds(max(o.ttl, m.ttl))})
		}
	}
	return metrics
}

// wholeSeconds is the shortest time of whole seconds that is not below d.
func wholeSeconds(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

// lagging tells that this peer should get no new pins. The caller must not hold
// the lock.
func (m *Monitor) lagging() bool {
	self, _ := m.View().Get(m.opts.ID)
	return self.Leaving || m.opts.Lagging != nil && m.opts.Lagging()
}
