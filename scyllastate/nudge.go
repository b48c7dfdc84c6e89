package scyllastate

import "sync"

// nudges wakes the readers of a feed in this process when a write to it is
// done, so that they need not wait for their next look.
type nudges struct {
	mu   sync.Mutex
	wait map[string]map[chan struct{}]struct{}
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

func (n *nudges) wake(feeds []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range feeds {
		for ch := range n.wait[f] {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}
