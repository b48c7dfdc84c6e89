package scylla

import (
	"context"
	"errors"
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
	// loneSilence is the same where no other host serves: the host may be
	// overloaded, and to connect anew would add to its load.
	loneSilence = 10 * time.Second
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
	// up are the ids of the hosts that the driver believes in.
	up func() []string

	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	// suspects is the number of hosts, so that nobody waits for the lock while
	// there are none.
	suspects atomic.Int32
	mu       sync.Mutex
	silent   map[string]*suspicion // by host id
	// cuts says when the connections to a host were last closed from here, the
	// zero time while that goes on. It has one entry for each node that was seen.
	cuts map[string]time.Time
}

// suspicion is one time that a host is silent.
type suspicion struct {
	host  *gocql.HostInfo
	since time.Time
}

func newHealth(ask func(context.Context, string, time.Duration) error, cut func(net.IP), up func() []string) *health {
	ctx, stop := context.WithCancel(context.Background())
	return &health{ask: ask, cut: cut, up: up, ctx: ctx, stop: stop, silent: make(map[string]*suspicion), cuts: make(map[string]time.Time)}
}

// close ends the questions.
func (h *health) close() {
	h.mu.Lock() // nobody is suspected from here on
	h.stop()
	h.mu.Unlock()
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
	if h.silent[host.HostID()] != nil || h.ctx.Err() != nil {
		return
	}
	s := &suspicion{host: host, since: time.Now()}
	h.silent[host.HostID()] = s
	h.suspects.Add(1)
	h.done.Go(func() { h.watch(s) })
}

// heard takes a host from the suspects.
func (h *health) heard(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(h.silent[id])
}

// drop ends a suspicion, unless it has ended: its host may be suspected anew.
func (h *health) drop(s *suspicion) {
	if s != nil && h.silent[s.host.HostID()] == s {
		delete(h.silent, s.host.HostID())
		h.suspects.Add(-1)
	}
}

// holds reports whether the host of a suspicion has not answered since.
func (h *health) holds(s *suspicion) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent[s.host.HostID()] == s
}

// watch asks a suspect until it answers, or the driver has noticed and passes
// it over by itself.
func (h *health) watch(s *suspicion) {
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(s)
	}()
	for {
		next := time.After(probeEvery)
		if err := h.ask(h.ctx, s.host.HostID(), probeEvery); err == nil || NotSent(err) && !errors.Is(err, gocql.ErrNoStreams) {
			return
		}
		if !h.holds(s) {
			return // it has answered another request
		}
		if time.Since(s.since) >= h.patience(s) {
			logger.Warnf("node %s does not answer: its connections are closed until it does", s.host.ConnectAddressAndPort())
			h.cutOff(s.host)
			return
		}
		select {
		case <-next:
		case <-h.ctx.Done():
			return
		}
	}
}

// cutOff closes the connections to a host.
func (h *health) cutOff(host *gocql.HostInfo) {
	note := func(at time.Time) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.cuts[host.HostID()] = at
	}
	note(time.Time{})
	h.cut(host.ConnectAddress())
	note(time.Now())
}

// cutSince reports whether the connections to a host were closed from here at
// that time or later.
func (h *health) cutSince(host *gocql.HostInfo, begun time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, cut := h.cuts[host.HostID()]
	return cut && (at.IsZero() || !at.Before(begun))
}

// patience is how long a host may be silent before it is cut off.
func (h *health) patience(s *suspicion) time.Duration {
	for _, id := range h.up() {
		if id != s.host.HostID() && !h.isSilent(id) {
			return silence
		}
	}
	return loneSilence
}

// order puts the hosts that have failed this request behind the others, and those
// that are silent behind these, and notes on the trail who is asked. If the driver's policy
// offers none at all, those that are known and up are asked.
func (h *health) order(ctx context.Context, next gocql.NextHost, known *knownHosts) gocql.NextHost {
	t, ok := ctx.Value(trailKey{}).(*trail)
	if !ok {
		return next // not one of our requests
	}
	failed := t.avoid()
	var behind, last []gocql.SelectedHost
	offered := false
	return func() gocql.SelectedHost {
		for host := next(); host != nil; host = next() {
			if host.Info() == nil {
				continue
			}
			offered = true
			id := host.Info().HostID()
			switch {
			case h.suspects.Load() > 0 && h.isSilent(id):
				last = append(last, host)
				continue
			case slices.Contains(failed, id):
				behind = append(behind, host)
				continue
			}
			t.hand(host.Info())
			return host
		}
		behind, last = append(behind, last...), nil
		if !offered {
			behind, offered = known.up(), true
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
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent[id] != nil
}
