package scyllastate

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// wokenFactor is how much longer feeds are left alone while all writers wake their
// readers.
const wokenFactor = 10

// nudges wakes the readers of a feed in this process when a write to it is
// done, so that they need not wait for their next look.
type nudges struct {
	// woken is set while the writers in other processes do so, too.
	woken atomic.Bool

	mu   sync.Mutex
	wait map[string]map[chan struct{}]struct{}
	// told is called with what is written in this process, nil for nobody.
	told func(feeds []string)
}

var _ state.Waker = (*Store)(nil)

// OnWrite implements state.Waker.
func (s *Store) OnWrite(f func(feeds []string)) {
	s.nudges.mu.Lock()
	defer s.nudges.mu.Unlock()
	s.nudges.told = f
}

// Feeds implements state.Waker.
func (s *Store) Feeds(id peer.ID) []string { return append(sharedFeeds(), id.String()) }

// Wake implements state.Waker.
func (s *Store) Wake(feeds ...string) { s.nudges.wake(feeds) }

// SetWoken implements state.Waker.
func (s *Store) SetWoken(woken bool) {
	if s.nudges.woken.Swap(woken) && !woken {
		s.nudges.wakeAll()
	}
}

// paced is how long a feed is left alone that is otherwise looked at so often.
func (n *nudges) paced(every time.Duration) time.Duration {
	if n.woken.Load() {
		return wokenFactor * every
	}
	return every
}

// listen returns a channel that gets a value after writes to one of the feeds.
// The caller calls stop when it is done.
func (n *nudges) listen(feeds []string) (wake <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wait == nil {
		n.wait = make(map[string]map[chan struct{}]struct{})
	}
	for _, f := range feeds {
		if n.wait[f] == nil {
			n.wait[f] = make(map[chan struct{}]struct{})
		}
		n.wait[f][ch] = struct{}{}
	}
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, f := range feeds {
			delete(n.wait[f], ch)
		}
	}
}

// wrote wakes who is concerned by a write of this process, here and elsewhere.
func (n *nudges) wrote(feeds []string) {
	n.wake(feeds)
	n.mu.Lock()
	told := n.told
	n.mu.Unlock()
	if told != nil && len(feeds) > 0 {
		told(feeds)
	}
}

func (n *nudges) wake(feeds []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range feeds {
		nudge(n.wait[f])
	}
}

// wakeAll wakes the readers of every feed.
func (n *nudges) wakeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, waiting := range n.wait {
		nudge(waiting)
	}
}

func nudge(waiting map[chan struct{}]struct{}) {
	for ch := range waiting {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
