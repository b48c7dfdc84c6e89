package scyllastate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// BenchmarkReadEvents is how many events a second the feeds hand on that are far behind,
// to somebody who does nothing with them: the pins were written before.
func BenchmarkReadEvents(b *testing.B) {
	s := withEvents(b, openStore(b, testConfig(b)))
	var writing errgroup.Group
	writing.SetLimit(writers)
	for i := range b.N {
		writing.Go(func() error { return s.Add(b.Context(), held(fmt.Sprint("pin ", i), statetest.Peer("a"))) })
	}
	if err := writing.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	told := make(chan int, state.EventShards)
	ctx, cancel := context.WithCancel(b.Context())
	var reading errgroup.Group
	for shard := range state.EventShards {
		feed, err := s.OpenEvents(ctx, shard)
		if err != nil {
			b.Fatal(err)
		}
		reading.Go(func() error {
			return feed.Consume(ctx, func(_ context.Context, events []state.Event, _ time.Time) error {
				told <- len(events)
				return nil
			})
		})
	}
	for n := 0; n < b.N; n += <-told {
	}
	b.StopTimer()
	cancel()
	go func() {
		_ = reading.Wait() // it ends with ctx
		close(told)
	}()
	for range told { // what is handed on meanwhile
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
