package tracker

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"go.opencensus.io/stats"
)

// gaugeEvery is how often the gauges are set if they have changed.
const gaugeEvery = time.Second

// gauges records upstream's metrics of the queue. pins/pin_error counts what is
// remembered: no more than maxFailed, with unpins that failed and content that is kept. What is beyond that comes and goes with scans, and
// status --filter pin_error lists it.
func (t *Tracker) gauges() {
	gauge := []struct {
		of   phase
		what *stats.Int64Measure
	}{{pinQueued, observations.PinsQueued}, {pinning, observations.PinsPinning}, {pinFailed, observations.PinsPinError}}
	last := []int64{-1, -1, -1}
	ticker := time.NewTicker(gaugeEvery)
	defer ticker.Stop()
	for {
		for i, g := range gauge {
			if n := t.counts[g.of].Load(); n != last[i] {
				last[i] = n
				stats.Record(t.ctx, g.what.M(n))
			}
		}
		select {
		case <-t.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// countPins lets upstream's connector set its metric pins/ipfs_pins, which it counts from 0
// at each start: it does that with each list of what IPFS has pinned, which the tracker
// needs only when somebody asks. It returns when a list was whole.
func (t *Tracker) countPins(ctx context.Context) {
	for {
		err := t.listKind(ctx, api.IPFSPinStatusRecursive, func(api.Cid) {})
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			logger.Warnf("counting what IPFS has pinned, for the metric pins/ipfs_pins, next try in %s: %s", t.opts.Every, err)
		}
		select {
		case <-time.After(t.opts.Every):
		case <-ctx.Done():
			return
		}
	}
}
