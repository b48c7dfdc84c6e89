package tracker

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	ocview "go.opencensus.io/stats/view"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// watchGauges registers upstream's views of the tracker until the test ends.
func watchGauges(t *testing.T) {
	t.Helper()
	views := []*ocview.View{observations.PinsQueuedView, observations.PinsPinningView, observations.PinsPinErrorView, observations.PinsIpfsPinsView}
	if err := ocview.Register(views...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ocview.Unregister(views...) })
}

// waitForGauge waits until the gauge has the value.
func waitForGauge(t *testing.T, of *ocview.View, want float64) {
	t.Helper()
	got := "none"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		rows, err := ocview.RetrieveData(of.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			continue
		}
		last, ok := rows[0].Data.(*ocview.LastValueData)
		if ok && last.Value == want {
			return
		}
		got = fmt.Sprint(rows[0].Data)
	}
	t.Fatalf("the gauge %s is %s, want %g", of.Name, got, want)
}

// TestGauges: upstream's gauges tell how many pins wait, are being made, and have failed.
func TestGauges(t *testing.T) {
	watchGauges(t)
	daemon := newIPFS()
	daemon.slow, daemon.fail = 0, 1
	r := newRig(t, newStore(), daemon, func(o *Options) { o.Config.ConcurrentPins = 1 })
	for _, of := range []*ocview.View{observations.PinsQueuedView, observations.PinsPinningView, observations.PinsPinErrorView} {
		waitForGauge(t, of, 0)
	}
	fails := r.own("fails")
	r.act(r.store.set(fails.Cid, fails))
	waitForGauge(t, observations.PinsPinErrorView, 1)
	daemon.edit(func() { daemon.slow = time.Hour })
	for i := range 3 {
		pin := r.own(fmt.Sprint(i))
		r.act(r.store.set(pin.Cid, pin))
	}
	waitForGauge(t, observations.PinsPinningView, 1)
	waitForGauge(t, observations.PinsQueuedView, 2)
	for i := range 3 {
		r.act(r.store.set(r.own(fmt.Sprint(i)).Cid, nil))
	}
	waitForGauge(t, observations.PinsPinningView, 0)
	waitForGauge(t, observations.PinsQueuedView, 0)
	waitForGauge(t, observations.PinsPinErrorView, 1)
}

// TestGaugeOfPinsInIPFS: what IPFS had pinned when the peer started counts, also if it did
// not list that at first, and what the peer does is added to that.
func TestGaugeOfPinsInIPFS(t *testing.T) {
	watchGauges(t)
	r, kubo := withKubo(t, nil)
	r.opts.Every = 10 * time.Millisecond
	refused := make(chan struct{}, 1)
	kubo.broken = map[string]http.HandlerFunc{"pin/ls all": func(w http.ResponseWriter, q *http.Request) {
		select {
		case refused <- struct{}{}:
		default:
		}
		html(w, q)
	}}
	for i := range 3 {
		pin := r.own(fmt.Sprint(i))
		r.store.left(pin, state.PlacementPinned)
		kubo.pins[pin.Cid.String()] = "recursive"
	}
	kubo.pins[statetest.Cid("direct").String()] = "direct"
	r.run()
	r.await("a list of IPFS that fails", refused)
	kubo.mu.Lock()
	kubo.broken = nil
	kubo.mu.Unlock()
	waitForGauge(t, observations.PinsIpfsPinsView, 3)
	more := r.own("more")
	r.acts(r.store.set(more.Cid, more))
	waitForGauge(t, observations.PinsIpfsPinsView, 4)
	for i := range 2 {
		r.acts(r.store.set(r.own(fmt.Sprint(i)).Cid, nil))
	}
	waitForGauge(t, observations.PinsIpfsPinsView, 2)
}

// TestPinsAreCountedOnce: IPFS lists its pins until that has succeeded, and no more.
func TestPinsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daemon := newIPFS()
		var asked []string
		daemon.lists = func(kind string) ([]api.IPFSPinInfo, error) {
			asked = append(asked, kind)
			if len(asked) < 3 {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}
		r := newRig(t, newStore(), daemon)
		r.run()
		time.Sleep(10*r.opts.Every + r.opts.Every/2)
		synctest.Wait()
		if want := []string{"recursive", "recursive", "recursive"}; !slices.Equal(asked, want) {
			t.Errorf("IPFS was asked for the pins %q, want %q", asked, want)
		}
		if !r.scanned.Load() {
			t.Error("the scan has not ended")
		}
	})
}
