package consume_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, consume.NewMetrics(), "ipfscluster_events_", map[string][]string{"reason": {"unknown", "malformed", "failed"}})
	var none *consume.Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
}

// TestMetrics: the metrics are the sums of what the consumers of a process count.
func TestMetrics(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	m := consume.NewMetrics()
	before := metrictest.Values(t, m)
	with := func(o *consume.Options) { o.Attempts, o.Metrics = 2, m }
	var picky, calm table
	picky.refuse = func(e events.Event) error {
		if e.Subject() == "cid1" {
			return errors.New("this always fails")
		}
		return nil
	}
	one := start(t, connect(t, cluster), "one", &memory{}, &picky, with)
	two := start(t, connect(t, cluster), "two", &memory{}, &calm, with)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(5)...)
	_, err := b.JetStream().Publish(t.Context(), b.Subject(0), []byte("no event"))
	must(t, err)
	eventually(t, func() string { return calm.differs(truth) })
	eventually(t, func() string {
		if x, y := one.Stats(), two.Stats(); x.Handled != 4 || x.Malformed == 0 || y.Handled != 5 || y.Malformed == 0 {
			return fmt.Sprintf("counted %+v and %+v", x, y)
		}
		return ""
	})
	one.stop()
	two.stop()
	metrictest.WantMoved(t, m, before, map[string]float64{
		"ipfscluster_events_handled_total":                       9,
		"ipfscluster_events_handler_retries_total":               1,
		`ipfscluster_events_dead_letters_total{reason="failed"}`: 1,
		// It is put aside again when the stream is read again.
		`ipfscluster_events_dead_letters_total{reason="malformed"}`: float64(one.Stats().Malformed + two.Stats().Malformed),
	})
}

// TestMetricsOfGaps: what is missing counts, with the replay that was asked for and came.
func TestMetricsOfGaps(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	m := consume.NewMetrics()
	var tb table
	c := start(t, connect(t, cluster), "c", &memory{}, &tb, func(o *consume.Options) { o.Metrics = m })
	w := newWorld(t, b, 1)
	w.load(200)
	truth := w.quiet()
	eventually(t, func() string { return tb.differs(truth) })
	c.stop()
	s := c.Stats()
	got := metrictest.Values(t, m)
	for name, n := range map[string]uint64{
		"handled_total": s.Handled, "dropped_total": s.Dropped, "gaps_total": s.Gaps, "late_total": s.Late, "superseded_total": s.Superseded,
		"replays_asked_total": s.Asked, "replays_received_total": s.Replays, "handler_retries_total": s.Retries,
	} {
		if got["ipfscluster_events_"+name] != float64(n) {
			t.Errorf("%s is %v, and the consumer counts %d", name, got["ipfscluster_events_"+name], n)
		}
	}
}
