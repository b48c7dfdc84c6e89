package drift

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestSampleOfAll: where there are no more pins than a sample has, all are asked for, and the
// bound is the share itself. What is in flight, unwanted or others' does not count.
func TestSampleOfAll(t *testing.T) {
	w := newWorld()
	for i := range 100 {
		w.settled(fmt.Sprint(i), api.PinMode(i%2))
	}
	delete(w.ipfs, w.settled("lost", api.PinModeRecursive))
	w.ipfs[w.settled("mode", api.PinModeRecursive)] = api.PinModeDirect
	delete(w.pins, w.settled("unwanted", api.PinModeRecursive))
	young := w.settled("young", api.PinModeRecursive)
	w.pin(young, api.PinModeRecursive, time.Now())
	delete(w.ipfs, young)
	for _, known := range []bool{false, true} {
		meter := w.meter()
		if known {
			if _, err := meter.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s, err := meter.Sample(t.Context())
		if err != nil || s.Size != 102 || s.Bad != 2 || !s.Whole || s.Upper95() != 2./102 {
			t.Errorf("%+v, %v, %v", s, s.Upper95(), err)
		}
	}
	if s, err := newWorld().meter().Sample(t.Context()); err != nil || s.Upper95() != 0 {
		t.Errorf("without pins it is %+v, %v", s, err)
	}
}

// TestSampleOfNewPins: what has come since the last sweep is asked for, too. A peer that is new
// has had nothing then.
func TestSampleOfNewPins(t *testing.T) {
	w := newWorld()
	meter := w.meter(func(o *Options) { o.Sample = 100 })
	if _, err := meter.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		delete(w.ipfs, w.settled(fmt.Sprint(i), api.PinModeRecursive))
	}
	if s, err := meter.Sample(t.Context()); err != nil || s.Size != 100 || s.Bad != 100 || s.Upper95() != 1 {
		t.Errorf("of 200 pins that were lost since the sweep it finds %+v, %v, %v", s, s.Upper95(), err)
	}
	if _, err := meter.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	clear(w.buckets)
	if s, err := meter.Sample(t.Context()); err != nil || s.Size != 100 || len(w.buckets) > 100 {
		t.Errorf("it has read %d buckets for %d pins, although the sweep has told where there are some; %v", len(w.buckets), s.Size, err)
	}
}

// TestSampleOfSome: a sample has as many pins as it is to have, from all strata, and its
// bound is not below what is lost in almost all samples.
func TestSampleOfSome(t *testing.T) {
	w := newWorld()
	for i := range 8000 {
		c := w.settled(fmt.Sprint(i), api.PinModeRecursive)
		if i%50 == 0 {
			delete(w.ipfs, c)
		}
	}
	meter := w.meter(func(o *Options) { o.Sample = 500 })
	if _, err := meter.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	below, bad := 0, 0
	const samples = 20
	for range samples {
		clear(w.buckets)
		s, err := meter.Sample(t.Context())
		if err != nil || s.Size != 500 || s.Whole || s.Upper95() != Upper95(s.Bad, 500) {
			t.Fatalf("%+v, %v, %v", s, s.Upper95(), err)
		}
		if s.Upper95() < 0.02 {
			below++
		}
		bad += s.Bad
		of := map[int]int{}
		for bucket := range w.buckets {
			of[bucket*strata/state.Buckets]++
		}
		least, most := state.Buckets, 0
		for stratum := range strata {
			least, most = min(least, of[stratum]), max(most, of[stratum])
		}
		if least == 0 || most > least+1 {
			t.Errorf("of a stratum %d to %d buckets were read", least, most)
		}
	}
	if share := float64(bad) / (samples * 500); below > 5 || share < 0.01 || share > 0.03 {
		t.Errorf("%d of %d bounds are below the truth; 2%% are lost, and %.2f%% were found", below, samples, 100*share)
	}
}

// TestSampleChoosesAnyOfABucket: not only the first pins of a bucket are asked for.
func TestSampleChoosesAnyOfABucket(t *testing.T) {
	w := newWorld()
	all := map[api.Cid]bool{}
	for i := 0; len(all) < 20; i++ {
		if c := w.settled(fmt.Sprint(i), api.PinModeRecursive); state.Bucket(c) == 7 {
			all[c] = true
		} else {
			delete(w.pins, c)
			delete(w.rows, c)
		}
	}
	seen := map[api.Cid]int{}
	w.asked = func(c api.Cid) { seen[c]++ }
	meter := w.meter(func(o *Options) { o.Sample = 64 * 2 })
	if _, err := meter.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	clear(seen)
	for range 300 {
		if s, err := meter.Sample(t.Context()); err != nil || s.Size != 2 || s.Whole {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	for c := range all {
		if n := seen[c]; n < 5 || n > 80 {
			t.Errorf("one of 20 pins was asked for %d times, of 600", n)
		}
	}
}

// TestSampleFails: an error leaves nothing that looks like a result.
func TestSampleFails(t *testing.T) {
	for _, what := range []string{"list", "pins", "ask", "row"} {
		w := newWorld()
		for i := range 50 {
			c := w.settled(fmt.Sprint(i), api.PinModeRecursive)
			if i%5 == 0 {
				delete(w.ipfs, c)
			}
		}
		metrics := NewMetrics()
		meter := w.meter(func(o *Options) { o.Metrics = metrics })
		if _, err := meter.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.failing[what] = 5
		s, err := meter.Sample(t.Context())
		got := gather(t, metrics)
		if !errors.Is(err, errDown) || s != (Sample{}) || got["ipfscluster_drift_errors_total"] != 1 || got["ipfscluster_drift_sample_size"] != 0 {
			t.Errorf("%s: %+v, %v, %v", what, s, err, got)
		}
	}
}

// TestRun: sweeps and samples come when they are due, and what failed comes sooner.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 10 {
			c := w.settled(fmt.Sprint(i), api.PinModeRecursive)
			w.pin(c, api.PinModeRecursive, time.Now().Add(-time.Hour)) // the time of the bubble is another one
			w.row(c, state.PlacementPinned, api.PinModeRecursive, time.Now().Add(-time.Hour))
		}
		metrics := NewMetrics()
		meter := w.meter(func(o *Options) { o.Hurry, o.Every, o.Metrics = false, DefaultEvery, metrics })
		meter.random = func(time.Duration) time.Duration { return 0 }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			meter.Run(ctx)
		}()
		lists := func(want int) {
			t.Helper()
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.lists != 2*want {
				t.Errorf("IPFS has made %d lists, want those of %d sweeps", w.lists, want)
			}
		}
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		began := time.Now()
		pass(9 * time.Minute)
		lists(0)
		pass(2 * time.Minute)
		lists(1)
		if got := gather(t, metrics)["ipfscluster_drift_sample_size"]; got != 0 {
			t.Errorf("a sample of %v", got)
		}
		pass(40 * time.Minute)
		if got := gather(t, metrics)["ipfscluster_drift_sample_size"]; got != 10 {
			t.Errorf("the first sample is of %v", got)
		}
		pass(50 * time.Minute)
		if got := gather(t, metrics)["ipfscluster_drift_sample_size"]; got != 10 {
			t.Errorf("a sample of %v", got)
		}
		pass(23 * time.Hour)
		lists(2)
		w.mu.Lock()
		w.failing["pins"] = 0
		w.mu.Unlock()
		pass(24 * time.Hour)
		lists(3)
		if got := gather(t, metrics); got["ipfscluster_drift_errors_total"] < 20 || got["ipfscluster_drift_last_sweep_timestamp_seconds"] > float64(began.Add(25*time.Hour).Unix()) {
			t.Errorf("after errors: %v", got)
		}
		w.mu.Lock()
		delete(w.failing, "pins")
		w.mu.Unlock()
		pass(2 * time.Hour)
		if got := gather(t, metrics); got["ipfscluster_drift_last_sweep_timestamp_seconds"] < float64(began.Add(47*time.Hour).Unix()) {
			t.Errorf("the sweep that failed was not made again: %v", got)
		}
		cancel()
		<-ended
	})
}

// TestPeersAreApart: the sweeps of peers that are started together are at different times.
func TestPeersAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers = 24
		var mu sync.Mutex
		var began []time.Duration // since the start, of all sweeps
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range peers {
			w := newWorld()
			meter := w.meter(func(o *Options) {
				o.Every, o.SampleEvery = DefaultEvery, -1
				o.Progress = func(p Progress) {
					if p == (Progress{}) {
						mu.Lock()
						defer mu.Unlock()
						began = append(began, time.Since(start))
					}
				}
			})
			meter.random = func(d time.Duration) time.Duration { return d * time.Duration(i) / peers }
			running.Go(func() { meter.Run(ctx) })
		}
		// between checks that all sweeps of a time are there, and no two in the same minute.
		between := func(what string, from, to time.Duration) {
			t.Helper()
			time.Sleep(to - time.Since(start))
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(began)
			if len(began) != peers {
				t.Fatalf("%s: %d sweeps of %d peers", what, len(began), peers)
			}
			for i, at := range began {
				if at < from || i > 0 && at-began[i-1] < time.Minute {
					t.Errorf("%s: there were sweeps after %s", what, began)
					break
				}
			}
			began = nil
		}
		between("after the start", settling, settling+time.Hour+time.Second)
		between("a day later", 24*time.Hour+settling, 25*time.Hour+settling)
		cancel()
		running.Wait()
	})
}
