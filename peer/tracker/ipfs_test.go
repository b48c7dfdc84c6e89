package tracker

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// ipfs is a daemon with a pinset. To pin and to unpin takes a second, or as long as
// slow says.
type ipfs struct {
	mu         sync.Mutex
	pins       map[api.Cid]api.PinDepth
	fail       int // so many requests fail
	slow       time.Duration
	late       bool          // what is cancelled is done all the same, when its time has come
	gcEnds     time.Time     // until then no unpin ends: the daemon collects garbage
	mute       bool          // an unpin fails, and is done all the same
	patience   time.Duration // after that
	down       bool          // questions about one pin fail
	hangs      bool          // no question is answered
	answers    time.Duration // how long an answer takes
	questions  int           // about one pin
	asking     int           // questions without an answer so far
	mostAsking int
	asked      []string
	waits      int                                          // for what was asked before
	failWaits  int                                          // so many of those fail
	told       func(api.Cid)                                // is called after each answer about one pin, if not nil
	lists      func(kind string) ([]api.IPFSPinInfo, error) // in place of its pins
}

func newIPFS() *ipfs { return &ipfs{pins: map[api.Cid]api.PinDepth{}, slow: time.Second} }

func (i *ipfs) request(ctx context.Context, what string, do func() error) error {
	i.mu.Lock()
	i.asked = append(i.asked, what)
	slow, late, mute, patience, began := i.slow, i.late, i.mute, i.patience, time.Now()
	if what == "pin" {
		mute = false
	} else {
		slow = max(slow, i.gcEnds.Sub(began))
	}
	i.mu.Unlock()
	if mute {
		time.AfterFunc(slow, func() { i.edit(func() { _ = do() }) })
		return errors.Join(pass(ctx, patience), errors.New("the connection was reset"))
	}
	if err := pass(ctx, slow); err != nil {
		if late {
			time.AfterFunc(time.Until(began.Add(slow)), func() { i.edit(func() { _ = do() }) })
		}
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail > 0 {
		i.fail--
		return errors.New("the daemon is busy")
	}
	return do()
}

// Pin asks for nothing that there is, as upstream's connector does.
func (i *ipfs) Pin(ctx context.Context, pin api.Pin) error {
	if depth, held := i.all()[pin.Cid]; held && (depth == 0) == (pin.MaxDepth == 0) {
		return nil
	}
	return i.request(ctx, "pin", func() error {
		if depth, held := i.pins[pin.Cid]; held && depth < 0 && pin.MaxDepth == 0 {
			return errors.New("already pinned recursively")
		}
		i.pins[pin.Cid] = pin.MaxDepth
		return nil
	})
}

func (i *ipfs) Unpin(ctx context.Context, c api.Cid) error {
	if c == nobodys() {
		fails := false
		i.edit(func() {
			i.waits++
			if fails = i.failWaits > 0; fails {
				i.failWaits--
			}
		})
		if fails {
			return errors.New("the daemon is busy")
		}
		return pass(ctx, i.gcTime()+time.Millisecond) // after all before it
	}
	return i.request(ctx, "unpin", func() error {
		delete(i.pins, c)
		return nil
	})
}

func (i *ipfs) PinLsCid(ctx context.Context, pin api.Pin) (api.IPFSPinStatus, error) {
	if err := i.question(ctx); err != nil {
		return api.IPFSPinStatusError, err
	}
	status, err := i.status(pin)
	if i.told != nil {
		i.told(pin.Cid)
	}
	return status, err
}

// gcTime is how long the daemon goes on to collect garbage.
func (i *ipfs) gcTime() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Until(i.gcEnds)
}

// question waits for the answer to one.
func (i *ipfs) question(ctx context.Context) error {
	i.mu.Lock()
	i.asking++
	i.mostAsking = max(i.mostAsking, i.asking)
	answers, hangs := i.answers, i.hangs
	i.mu.Unlock()
	defer i.edit(func() { i.asking-- })
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return pass(ctx, answers)
}

func (i *ipfs) status(pin api.Pin) (api.IPFSPinStatus, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.questions++
	if i.down {
		return api.IPFSPinStatusError, errors.New("connection refused")
	}
	depth, held := i.pins[pin.Cid]
	switch {
	case held && depth == 0 && pin.MaxDepth == 0:
		return api.IPFSPinStatusDirect, nil
	case held && depth != 0 && pin.MaxDepth != 0:
		return api.IPFSPinStatusRecursive, nil
	}
	return api.IPFSPinStatusUnpinned, nil
}

func (i *ipfs) PinLs(ctx context.Context, kinds []string, out chan<- api.IPFSPinInfo) error {
	defer close(out)
	i.mu.Lock()
	var all []api.IPFSPinInfo
	for c, depth := range i.pins {
		kind := api.IPFSPinStatusRecursive
		if depth == 0 {
			kind = api.IPFSPinStatusDirect
		}
		if kind.String() == kinds[0] {
			all = append(all, api.IPFSPinInfo{Cid: c, Type: kind})
		}
	}
	lists := i.lists
	i.mu.Unlock()
	var err error
	if lists != nil {
		all, err = lists(kinds[0])
	}
	for _, info := range all {
		select {
		case out <- info:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (i *ipfs) edit(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// all are the pins of IPFS, with their depths.
func (i *ipfs) all() map[api.Cid]api.PinDepth {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.pins)
}

func (i *ipfs) has(c api.Cid) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, ok := i.pins[c]
	return ok
}

// requests are what was asked for since the last call.
func (i *ipfs) requests() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := strings.Join(i.asked, " ")
	i.asked = nil
	return out
}
