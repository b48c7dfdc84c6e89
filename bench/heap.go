package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"
)

// heapEvery is how often the heap is looked at.
const heapEvery = 5 * time.Millisecond

// use runs a listing, which must send so many pins, and returns how long it took, how
// many requests it made, and what it needed of the heap, live and with garbage, in MB.
func (b *ownBench) use(ctx context.Context, want int, list func(context.Context) (int, error)) ([]float64, error) {
	before, err := requests(ctx, b.db)
	if err != nil {
		return nil, err
	}
	runtime.GC()
	runtime.GC() // what the first one has only marked as free
	idleLive, idle := heap()
	stop, stopped := make(chan struct{}), make(chan [2]uint64)
	go func() { stopped <- peaks(stop) }()
	began := time.Now()
	n, err := list(ctx)
	took := time.Since(began)
	close(stop)
	most := <-stopped
	if err != nil {
		return nil, err
	}
	if n != want {
		return nil, fmt.Errorf("%d pins were listed, want %d", n, want)
	}
	after, err := requests(ctx, b.db)
	if err != nil {
		return nil, err
	}
	above := func(peak, idle uint64) float64 { return max(0, float64(peak)-float64(idle)) / 1e6 }
	return []float64{took.Seconds(), float64(after - before), above(most[0], idleLive), above(most[1], idle)}, nil
}

// peaks looks at the heap until stop is closed.
func peaks(stop <-chan struct{}) (most [2]uint64) {
	ticker := time.NewTicker(heapEvery)
	defer ticker.Stop()
	for {
		live, all := heap()
		most[0], most[1] = max(most[0], live), max(most[1], all)
		select {
		case <-stop:
			return most
		case <-ticker.C:
		}
	}
}

// heap is what the last collection found alive, and what there is now, in bytes.
func heap() (live, all uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
