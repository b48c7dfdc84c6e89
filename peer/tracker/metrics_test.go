package tracker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, NewMetrics(), "ipfscluster_", map[string][]string{
		"status":    {"pinned", "pin_queued", "pinning", "pin_error", "unpin_queued", "unpinning", "unpin_error"},
		"priority":  {"unpin", "high", "normal"},
		"operation": {"pin", "unpin", "pin_status", "pin_list", "size"},
		"outcome":   {"ok", "failed", "canceled"},
	})
}

// TestTrackerMetrics: what the tracker works on and what IPFS was asked for is counted.
func TestTrackerMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeasuredRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.ConcurrentPins = 1 })
		value := func(series string) float64 {
			synctest.Wait()
			return metrictest.Values(t, m.own)[series]
		}
		want := func(what, series string, want float64) {
			t.Helper()
			if got := value(series); got != want {
				t.Errorf("%s: %s is %v, want %v", what, series, got, want)
			}
		}
		var pins []*api.Pin
		for i := range 3 {
			pin := m.rig.own(fmt.Sprint(i))
			m.act(m.write(pin.Cid, pin))
			pins = append(pins, pin)
		}
		want("one at a time", `ipfscluster_tracker_pins{status="pinning"}`, 1)
		want("one at a time", `ipfscluster_tracker_pins{status="pin_queued"}`, 2)
		want("one at a time", `ipfscluster_tracker_queue{priority="high"}`, 2)
		time.Sleep(time.Minute)
		want("pinned", `ipfscluster_tracker_pins{status="pinned"}`, 3)
		want("pinned", `ipfscluster_tracker_operations_total{operation="pin",outcome="ok"}`, 3)
		want("pinned", `ipfscluster_kubo_request_duration_seconds_count{operation="pin"}`, 3)
		want("pinned", `ipfscluster_kubo_request_duration_seconds_sum{operation="pin"}`, 3)
		want("pinned", `ipfscluster_kubo_request_duration_seconds_count{operation="size"}`, 3)
		m.act(m.write(pins[0].Cid, nil))
		time.Sleep(time.Minute)
		want("unpinned", `ipfscluster_tracker_pins{status="pinned"}`, 2)
		want("unpinned", `ipfscluster_tracker_operations_total{operation="unpin",outcome="ok"}`, 1)
		m.ipfs.edit(func() { m.ipfs.fail = 1 })
		pin := m.rig.own("fails")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(time.Minute)
		want("failed", `ipfscluster_tracker_pins{status="pin_error"}`, 1)
		want("failed", `ipfscluster_tracker_operations_total{operation="pin",outcome="failed"}`, 1)
		want("failed", `ipfscluster_kubo_request_errors_total{operation="pin"}`, 1)
		m.ipfs.edit(func() { m.ipfs.slow = time.Hour })
		pin = m.rig.own("canceled")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(time.Minute)
		m.act(m.write(pin.Cid, nil))
		want("canceled", `ipfscluster_tracker_operations_total{operation="pin",outcome="canceled"}`, 1)
		want("canceled", `ipfscluster_kubo_request_errors_total{operation="pin"}`, 1)

	})
}

// TestPinsOfAnEarlierProcess: what is pinned is counted at the start, and anew by a check.
func TestPinsOfAnEarlierProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeasuredRig(t, newStore(), newIPFS())
		const n = 5
		for i := range n {
			pin := m.rig.own(fmt.Sprint(i))
			m.act(m.write(pin.Cid, pin))
		}
		time.Sleep(time.Minute)
		m.stop()
		m.cancel()
		m = newMeasuredRig(t, m.store, m.ipfs)
		want := func(what string, want float64) {
			t.Helper()
			synctest.Wait()
			if got := metrictest.Values(t, m.own)[`ipfscluster_tracker_pins{status="pinned"}`]; got != want {
				t.Errorf("%s: %v are pinned, want %v", what, got, want)
			}
		}
		want("before a look", 0)
		m.run()
		time.Sleep(time.Minute)
		want("at the start", n)
		for b := range state.Buckets {
			if b%2 == 0 {
				m.held[b].Add(7)
			}
			if err := m.check(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		want("after a check", n)
	})
}
