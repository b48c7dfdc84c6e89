package reconcile

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simFeed is what a peer was told, and how far it has come.
type simFeed struct {
	mu      sync.Mutex
	entries []simEntry
	cursor  int
	more    chan struct{} // closed with the next entry
}

type simEntry struct {
	cid api.Cid
	// made is set if the write has made the pin.
	made bool
}

func (f *simFeed) append(e simEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, e)
	close(f.more)
	f.more = make(chan struct{})
}

// from returns what is there from a place on, and what tells of more.
func (f *simFeed) from(place int) ([]simEntry, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.entries[place:]), f.more
}

func (f *simFeed) position() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cursor
}

// simReader is one process that reads the feed of its peer.
type simReader struct {
	p    *simProcess
	feed *simFeed

	mu   sync.Mutex
	done map[int]bool
	// open are the entries of a CID whose work has not ended, calls counts the calls of
	// the handler for it: the last one ends them all.
	open  map[api.Cid][]int
	calls map[api.Cid]int
}

// consume hands the changes of the peer to the handler until the process dies. What the
// process before has not ended comes again.
func (p *simProcess) consume(handle state.Handler) {
	feed := p.s.feedOf(p.node.id)
	r := &simReader{p: p, feed: feed, done: map[int]bool{}, open: map[api.Cid][]int{}, calls: map[api.Cid]int{}}
	place := feed.position()
	before, _ := feed.from(0)
	for !p.dead() {
		entries, more := feed.from(place)
		for _, e := range entries {
			r.deliver(place, e, place < len(before), handle)
			place++
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-more:
		case <-p.ctx.Done():
		}
	}
}

// deliver calls the handler until it takes the change.
func (r *simReader) deliver(place int, e simEntry, old bool, handle state.Handler) {
	store := simStore{r.p.s.store, nil, r.p}
	if lag := r.p.s.lag; lag > 0 {
		_ = r.p.pause(r.p.ctx, between(r.p.draw("lag"), time.Millisecond, lag))
	}
	for !r.p.dead() {
		pin, rev, err := store.GetVersion(r.p.ctx, e.cid)
		if err == nil {
			r.mu.Lock()
			r.open[e.cid] = append(r.open[e.cid], place)
			r.calls[e.cid]++
			call := r.calls[e.cid]
			r.mu.Unlock()
			err = handle(r.p.ctx, state.Change{
				Cid: e.cid, Pin: pin, Rev: rev, First: e.made && pin != nil, Unpassed: e.made && old,
				Done: func(error) { r.end(e.cid, call) },
			})
			if errors.Is(err, state.ErrLater) {
				return
			}
		}
		_ = r.p.pause(r.p.ctx, time.Second)
	}
}

// end moves the position over what has ended.
func (r *simReader) end(c api.Cid, call int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[c] != call || r.p.dead() {
		return
	}
	for _, place := range r.open[c] {
		r.done[place] = true
	}
	delete(r.open, c)
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	for r.done[r.feed.cursor] {
		r.feed.cursor++
	}
}

// simFollow is the feed of another peer, from where that has stopped.
type simFollow struct {
	p    *simProcess
	feed *simFeed
}

func (f simFollow) Consume(ctx context.Context, handle state.Handler) error {
	store := simStore{f.p.s.store, nil, f.p}
	var open []api.Cid
	place := f.feed.position()
	for {
		entries, _ := f.feed.from(place)
		place += len(entries)
		for _, e := range entries {
			if !slices.Contains(open, e.cid) {
				open = append(open, e.cid)
			}
		}
		open = slices.DeleteFunc(open, func(c api.Cid) bool {
			pin, rev, err := store.GetVersion(ctx, c)
			return err == nil && handle(ctx, state.Change{Cid: c, Pin: pin, Rev: rev}) == nil
		})
		if err := f.p.pause(ctx, 5*time.Second); err != nil {
			return err
		}
	}
}
