package pins

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// firstPoll is the pause before a CID is looked at that is not pinned yet. Each further
	// one is twice as long, up to lastPoll.
	firstPoll = 250 * time.Millisecond
	lastPoll  = time.Minute
	// failedPause is the pause after a CID could not be settled. If peers answer by then, a todo
	// row is written for each that is tried again.
	failedPause = 15 * time.Second
	// failedTries is from which pause polls of it go on.
	failedTries = 6
	// pollsMost is how many CIDs are looked at again and again. The others have their todo
	// rows, and events.
	pollsMost = 100_000
	// namedMost is how many requests for one CID are remembered: the others have their todo
	// rows.
	namedMost = 100
	// failedPolls is how often a CID is looked at that stays failed.
	failedPolls = 20
)

// poll is a CID whose status is to be looked at.
type poll struct {
	cid   string
	due   time.Time
	tries int
	named []claimant // that may not have been told what others were
	size  int64      // of the content, that an event told; 0 if none did
}

// polls are the CIDs to look at. They are safe for concurrent use.
type polls struct {
	most  int
	added chan struct{} // has a token when one was added
	mu    sync.Mutex
	of    map[string]*poll
	order dues
}

func newPolls(most int) *polls {
	return &polls{most: most, added: make(chan struct{}, 1), of: make(map[string]*poll)}
}

// add adds one, or brings it forward.
func (p *polls) add(one poll) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.of[one.cid]
	switch {
	case !ok && len(p.of) >= p.most:
		return
	case !ok:
		p.of[one.cid] = &one
	default:
		for _, c := range one.named {
			if len(known.named) < namedMost && !slices.Contains(known.named, c) {
				known.named = append(known.named, c)
			}
		}
		known.size = cmp.Or(one.size, known.size)
		known.tries = min(known.tries, one.tries)
		if !one.due.Before(known.due) {
			return
		}
		known.due = one.due
	}
	heap.Push(&p.order, due{one.due, one.cid})
	select {
	case p.added <- struct{}{}:
	default:
	}
}

// len is how many there are.
func (p *polls) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.of)
}

// take removes those that are due, at most n, and returns when the next one is, the zero time
// if there is none.
func (p *polls) take(now time.Time, n int) (some []poll, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.order) > 0 {
		first := p.order[0]
		known, ok := p.of[first.cid]
		if !ok || !known.due.Equal(first.at) { // brought forward since, or done
			heap.Pop(&p.order)
			continue
		}
		if first.at.After(now) || len(some) == n {
			return some, first.at
		}
		heap.Pop(&p.order)
		delete(p.of, first.cid)
		some = append(some, *known)
	}
	return some, time.Time{}
}

// poll looks at what is due until ctx ends.
func (w *Worker) poll(ctx context.Context) {
	for ctx.Err() == nil {
		some, next := w.polls.take(time.Now(), MaxStatus)
		if len(some) > 0 {
			w.look(ctx, some)
			continue
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
		case <-w.polls.added:
		case <-due:
		}
	}
}

// look asks for the status of some CIDs and tells their claimants. What fails is looked at
// again.
func (w *Worker) look(ctx context.Context, some []poll) {
	if err := w.tryLook(ctx, some); err != nil {
		logger.Debugf("the status of %d CIDs is not known: %s", len(some), err)
		for _, one := range some {
			w.again(one)
		}
	}
}

// tryLook does what look does, and fails if the peer does not tell.
func (w *Worker) tryLook(ctx context.Context, some []poll) error {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	begun := w.service.now()
	cids := make([]string, len(some))
	for i := range some {
		cids[i] = some[i].cid
	}
	all, err := w.peer.Status(ctx, cids)
	if err != nil {
		return fmt.Errorf("asking the peer for statuses: %w", err)
	}
	if len(all) != len(some) {
		return fmt.Errorf("the peer told %d statuses of %d CIDs", len(all), len(some))
	}
	var g errgroup.Group
	g.SetLimit(w.conf.Parallel)
	for i, one := range some {
		g.Go(func() error {
			done, err := w.lookAt(ctx, one, all[i], begun)
			if err != nil {
				logger.Debugf("%s is looked at again: %s", one.cid, err)
			}
			if err != nil || !done {
				w.again(one)
			}
			return nil
		})
	}
	return g.Wait() // no function fails
}

// again looks at it later.
func (w *Worker) again(one poll) {
	one.due = time.Now().Add(min(firstPoll<<min(one.tries, 10), lastPoll))
	one.tries++
	w.polls.add(one)
}

// lookAt tells claimants a status, and has a CID settled that is claimed and not pinned. What
// is pinned and not claimed it leaves to the todo row of whoever gave up the claim: an event
// removes nothing. It returns whether it need not be looked at any more.
func (w *Worker) lookAt(ctx context.Context, one poll, st PeerStatus, begun time.Time) (bool, error) {
	c, err := w.service.claims(ctx, one.cid, &w.conf)
	if err != nil {
		return false, err
	}
	if pin, _ := wants(&c, &st); pin {
		since := time.Now()
		if err := w.service.announce(ctx, todoItem{cid: one.cid}, todoAfter); err != nil {
			return false, err
		}
		return w.service.queue.push(work{cid: one.cid, since: since}), nil
	}
	named := one.named
	if st.Size == 0 && one.size > 0 {
		st.Size, named = one.size, c.of
	}
	o := observed(begun, st)
	told, err := w.tell(ctx, one.cid, &c, o, named)
	if err != nil || !told {
		return false, err
	}
	return !c.any() || o.status == Pinned || o.status == Failed && one.tries >= failedPolls, nil
}

// due is when a CID is to be looked at.
type due struct {
	at  time.Time
	cid string
}

// dues is a heap, the earliest first.
type dues []due

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push and Pop are for package heap.
func (d *dues) Push(x any) {
	if one, ok := x.(due); ok {
		*d = append(*d, one)
	}
}

// Pop removes the last one.
func (d *dues) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
