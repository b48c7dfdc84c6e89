package scyllastate

import (
	"context"
	"sync"
	"time"
)

const (
	// firstPause is how long nobody is asked after a handler was busy. It doubles
	// with each time that it still is, up to lastPause.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// openAfter is how much work in sequence opens the gate of which none had been
	// refused before.
	openAfter = 4 * feedWorkers
)

// response is what a worker has found out about the room that a handler has.
type response uint8

const (
	// notAsked: the handler was not called.
	notAsked response = iota
	// refused: it has no room.
	refused
	// taken: it took the work. That may be of a kind of which it always takes some.
	taken
	// takenNow: it took what it had refused.
	takenNow
)

// gate keeps all workers away from a handler that has no room. After each pause
// one of them asks, and when the handler takes the work all go on. The zero gate
// is open.
type gate struct {
	mu    sync.Mutex
	pause time.Duration // 0 while the gate is open
	// until is when the pause ends.
	until time.Time
	// turn holds a value while nobody is about to ask, and is closed when the gate
	// opens.
	turn chan struct{}
	// taken counts the work that was taken since the handler refused some.
	taken int
}

// pass returns when the caller may ask the handler, and whether it is the one that
// does while the gate is closed. It fails when ctx ends.
func (g *gate) pass(ctx context.Context) (probe bool, err error) {
	g.mu.Lock()
	open, turn := g.pause == 0, g.turn
	g.mu.Unlock()
	if open {
		return false, nil
	}
	select {
	case _, mine := <-turn:
		if !mine {
			return false, nil
		}
	case <-ctx.Done():
		return false, ctx.Err()
	}
	g.mu.Lock()
	until := g.until
	g.mu.Unlock()
	select {
	case <-time.After(time.Until(until)):
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// answered takes what one has found out who has passed.
func (g *gate) answered(probe bool, r response) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case r == refused && g.pause == 0:
		g.turn = make(chan struct{}, 1)
		g.close(firstPause)
		logger.Warnf("there is no room for more work on pins: changes wait until there is")
	case !probe:
	case r == refused:
		g.close(min(2*g.pause, lastPause))
	default:
		if r == taken {
			g.taken++
		}
		if r == takenNow || g.taken == openAfter {
			g.pause = 0
			close(g.turn)
			logger.Infof("there is room for work on pins again")
			return
		}
		g.turn <- struct{}{}
	}
}

// close begins a pause. The caller holds the lock and has the turn.
func (g *gate) close(pause time.Duration) {
	g.pause, g.until, g.taken = pause, time.Now().Add(pause), 0
	g.turn <- struct{}{}
}
