package sli

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// aviary is the cluster that canaries are pinned in.
type aviary struct {
	t       *testing.T
	metrics *Metrics

	mu       sync.Mutex
	blocks   map[api.Cid][]byte
	pins     map[api.Cid]api.Pin
	revs     map[api.Cid]state.Revision
	names    []string
	takes    time.Duration // until a holder has it, 0 for ever
	addErr   error
	unpinErr error
	hangs    bool // the database
}

func newAviary(t *testing.T) *aviary {
	return &aviary{t: t, metrics: NewMetrics(), takes: 5 * time.Second,
		blocks: make(map[api.Cid][]byte), pins: make(map[api.Cid]api.Pin), revs: make(map[api.Cid]state.Revision)}
}

// run lets a Canary run until stop is called.
func (a *aviary) run() (stop func()) {
	holders := []peer.ID{statetest.Peer("self"), statetest.Peer("b")}
	c := NewCanary(CanaryOptions{
		Metrics: a.metrics, Self: holders[0], Every: 5 * time.Minute, Add: a.add, Pin: a.pin, Unpin: a.unpin, Store: a,
		Holders: func() []peer.ID { return holders },
	})
	ctx, cancel := context.WithCancel(a.t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	a.t.Cleanup(stop)
	return stop
}

func (a *aviary) edit(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *aviary) add(_ context.Context, block api.NodeWithMeta) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sum, err := block.Cid.Prefix().Sum(block.Data); err != nil || sum != block.Cid.Cid {
		a.t.Errorf("the block %q has not the CID %s", block.Data, block.Cid)
	}
	a.blocks[block.Cid] = block.Data
	return a.addErr
}

func (a *aviary) pin(_ context.Context, pin api.Pin) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blocks[pin.Cid] == nil {
		a.t.Error("a canary was pinned before its content was added")
	}
	if _, there := a.pins[pin.Cid]; there {
		a.t.Error("a canary was pinned twice")
	}
	if in := time.Until(pin.ExpireAt); in < 2*Deadline || in > canaryLife {
		a.t.Errorf("it expires in %s", in)
	}
	a.pins[pin.Cid], a.revs[pin.Cid] = pin, revOf(time.Now())
	a.names = append(a.names, pin.Name)
	return nil
}

func (a *aviary) unpin(_ context.Context, pin api.Pin) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unpinErr == nil {
		delete(a.pins, pin.Cid)
	}
	return a.unpinErr
}

func (a *aviary) GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hangs {
		<-ctx.Done()
		return nil, state.Revision{}, ctx.Err()
	}
	if pin, there := a.pins[c]; there {
		return &pin, a.revs[c], nil
	}
	return nil, a.revs[c], nil
}

func (a *aviary) GetPlacement(_ context.Context, _ peer.ID, c api.Cid) (state.Placement, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, _ := acceptedAt(a.revs[c])
	if done := at.Add(a.takes); a.takes > 0 && !done.After(time.Now()) {
		return state.Placement{Cid: c, Rev: a.revs[c], Status: state.PlacementPinned, Updated: done}, true, nil
	}
	return state.Placement{}, false, nil
}

// flown is what became of the canaries so far.
func (a *aviary) flown() [canaryResults]float64 {
	counted := &counts{m: a.metrics}
	var n [canaryResults]float64
	for r := range canaryResults {
		n[r] = counted.value(a.t, `ipfscluster_canary_total{result="`+canaryName(r)+`"}`)
	}
	return n
}

func (a *aviary) left() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pins)
}

// TestCanary: canaries are pinned, counted by what became of them, and gone after that.
func TestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAviary(t)
		a.run()
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if a.left() != 1 || a.flown() != [canaryResults]float64{} {
			t.Errorf("a second after it was pinned %d are there, and %v counted", a.left(), a.flown())
		}
		time.Sleep(Deadline)
		synctest.Wait()
		if want := [canaryResults]float64{canaryGood: 1}; a.left() != 0 || a.flown() != want {
			t.Errorf("after its deadline %d are there, and %v counted", a.left(), a.flown())
		}
		if sum := (&counts{m: a.metrics}).value(t, "ipfscluster_canary_latency_seconds_sum"); sum != 5 {
			t.Errorf("it took %v s, and it was 5", sum)
		}
		a.edit(func() { a.takes = 0 })
		time.Sleep(5 * time.Minute)
		a.edit(func() { a.takes, a.addErr = 5*time.Second, errors.New("the disk is full") })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if want := [canaryResults]float64{1, 1, 1}; a.left() != 0 || a.flown() != want {
			t.Errorf("%d are there, and %v counted", a.left(), a.flown())
		}
		for _, name := range a.names {
			if !strings.HasPrefix(name, "ipfs-cluster canary of ") || name != a.names[0] {
				t.Errorf("a canary has the name %q", name)
			}
		}
		if len(a.blocks) != 3 {
			t.Errorf("%d blocks of three canaries", len(a.blocks))
		}
	})
}

// TestCanaryWithoutDatabase: while the database hangs canaries fail as often as they are let out.
func TestCanaryWithoutDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAviary(t)
		a.hangs = true
		a.run()
		time.Sleep(canaryStep + 6*time.Minute + time.Second) // it looks for those of an earlier process first
		synctest.Wait()
		if want := [canaryResults]float64{canaryFailed: 1}; a.flown() != want {
			t.Errorf("a minute after the first one was due %v are counted, want %v", a.flown(), want)
		}
	})
}

// TestCanaryOfAnEarlierProcess: what a process has left that was killed the next one unpins,
// and what cannot be unpinned is tried again.
func TestCanaryOfAnEarlierProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAviary(t)
		stop := a.run()
		time.Sleep(5*time.Minute + 10*time.Second)
		stop()
		if a.left() != 1 || a.flown() != [canaryResults]float64{} {
			t.Errorf("the process has ended: %d are there, and %v counted", a.left(), a.flown())
		}
		time.Sleep(8 * time.Minute)
		a.edit(func() { a.unpinErr = errors.New("the database is gone") })
		a.run()
		synctest.Wait()
		if a.left() != 1 {
			t.Errorf("%d are there", a.left())
		}
		a.edit(func() { a.unpinErr = nil })
		stop = a.run()
		synctest.Wait()
		if a.left() != 0 {
			t.Errorf("%d are left", a.left())
		}
		stop()
	})
}
