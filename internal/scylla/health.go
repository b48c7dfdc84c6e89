package scylla

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

const (
	// probeEvery is the pause between two questions to a host that has let a
	// request run out, and how long each of them waits.
	probeEvery = time.Second
	// silence is how long nothing may come from such a host before its
	// connections are closed.
	silence = 3 * time.Second
)

// health knows the hosts that have let the time of an attempt run out. They are
// asked last until they answer, which one question a second finds out. When
// nothing comes for a while their connections are closed: the driver believes in
// a host as long as it has connections to it, and notices that they are dead
// after half a minute only. It then asks others by itself, and connects again as
// soon as the host answers.
type health struct {
	// ask sends a host the smallest request there is.
	ask func(ctx context.Context, hostID string, limit time.Duration) error
	// cut closes all connections to an address.
	cut func(net.IP)

	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	// suspects is the number of hosts, so that nobody waits for the lock while
	// there are none.
	suspects atomic.Int32
	mu       sync.Mutex
	silent   map[string]time.Time // by host id: since when
}

func newHealth(ask func(context.Context, string, time.Duration) error, cut func(net.IP)) *health {
	ctx, stop := context.WithCancel(context.Background())
	return &health{ask: ask, cut: cut, ctx: ctx, stop: stop, silent: make(map[string]time.Time)}
}

// close ends the questions.
func (h *health) close() {
	h.stop()
	h.done.Wait()
}

// note takes the outcome of an attempt.
func (h *health) note(host *gocql.HostInfo, err error) {
	if timedOut(err) {
		h.suspect(host)
		return
	}
	if h.suspects.Load() == 0 {
		return
	}
	if _, answered := Code(err); answered || err == nil {
		h.heard(host.HostID())
	}
}

// suspect doubts a host until it answers.
func (h *health) suspect(host *gocql.HostInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.silent[host.HostID()]; known || h.ctx.Err() != nil {
		return
	}
	h.silent[host.HostID()] = time.Now()
	h.suspects.Add(1)
	h.done.Add(1)
	go func() {
		defer h.done.Done()
		h.watch(host)
	}()
}

// heard takes a host from the suspects.
func (h *health) heard(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.silent[id]; known {
		delete(h.silent, id)
		h.suspects.Add(-1)
	}
}

// since returns since when the host is silent, false when it is not.
func (h *health) since(id string) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, silent := h.silent[id]
	return since, silent
}

// watch asks a suspect until it answers, or the driver has noticed and passes
// it over by itself.
func (h *health) watch(host *gocql.HostInfo) {
	id := host.HostID()
	defer h.heard(id)
	for {
		next := time.After(probeEvery)
		if err := h.ask(h.ctx, id, probeEvery); err == nil || NotSent(err) {
			return
		}
		since, silent := h.since(id)
		if !silent {
			return // it has answered another request
		}
		if time.Since(since) >= silence {
			logger.Warnf("node %s does not answer: its connections are closed until it does", host.ConnectAddressAndPort())
			h.cut(host.ConnectAddress())
			return
		}
		select {
		case <-next:
		case <-h.ctx.Done():
			return
		}
	}
}

// order puts the hosts that are silent, or that have failed this request, behind
// the others, and notes on the trail who is asked.
func (h *health) order(ctx context.Context, next gocql.NextHost) gocql.NextHost {
	t, ok := ctx.Value(trailKey{}).(*trail)
	if !ok {
		return next // not one of our requests
	}
	failed := t.avoid()
	var behind []gocql.SelectedHost
	return func() gocql.SelectedHost {
		for host := next(); host != nil; host = next() {
			if host.Info() == nil {
				continue
			}
			id := host.Info().HostID()
			if slices.Contains(failed, id) || h.suspects.Load() > 0 && h.isSilent(id) {
				behind = append(behind, host)
				continue
			}
			t.hand(host.Info())
			return host
		}
		if len(behind) == 0 {
			return nil
		}
		host := behind[0]
		behind = behind[1:]
		t.hand(host.Info())
		return host
	}
}

func (h *health) isSilent(id string) bool {
	_, silent := h.since(id)
	return silent
}
