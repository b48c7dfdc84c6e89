package scyllastate

import (
	"context"
	"errors"
	"time"

	"github.com/gocql/gocql"
)

var errCrashed = errors.New("simulated: the process has crashed")

// fate is what becomes of one request.
type fate struct {
	// apply and again are when it takes effect, and when a copy of it does.
	apply, again time.Duration
	// answer is when the caller learns of it.
	answer time.Duration
	// hanging is for conditional updates: see simPins.
	hanging bool
	refused bool
}

// fate draws what becomes of a request.
func (w *world) fate(p *process, d *draw) fate {
	fast := func() time.Duration { return d.between(200*time.Microsecond, 4*time.Millisecond) }
	f := fate{apply: fast(), again: never}
	f.answer = f.apply + fast()
	if !w.faulty() {
		return f
	}
	if p.machine.at(p.machine.outages) && !d.chance(50) {
		f.answer = never
		if d.chance(700) {
			f.apply = never
		}
		return f
	}
	r := d.below(1000)
	hit := func(permille int) bool {
		r -= permille
		return r < 0
	}
	o := w.odds
	switch {
	case hit(o.lost):
		f.apply, f.answer = never, never
	case hit(o.lostAnswer):
		f.answer = never
	case hit(o.late):
		f.apply, f.answer = d.mostly(w.requestTimeout, w.late), never
	case hit(o.slow):
		f.apply = d.between(0, w.requestTimeout)
		f.answer = f.apply + d.between(0, w.requestTimeout)
	case hit(o.twice):
		f.again = d.mostly(f.apply, w.late)
	case hit(o.hanging):
		f.hanging, f.answer = true, never
	case hit(o.refused):
		f.refused, f.apply = true, never
	}
	return f
}

// requestKey is what requests are counted by. Those of two calls are not counted
// together: where both wait for one batch of appends, they go on at the same instant.
type requestKey struct{ kind, key, call string }

// send waits while the process is stopped, and returns the chances of its next
// request of this kind.
func (p *process) send(ctx context.Context, kind, key string) (d *draw, stopped bool, err error) {
	w, count := p.world, requestKey{kind, key, opOf(ctx).title()}
	w.mu.Lock()
	p.requests[count]++
	n := p.requests[count]
	w.mu.Unlock()
	d = w.draw(n, p.name, kind, key, count.call)
	stopped = p.gate(d)
	if p.crashed() {
		return d, stopped, errCrashed
	}
	return d, stopped, nil
}

// gate waits while the process is stopped. Its goroutines go on one after the
// other.
func (p *process) gate(d *draw) (stopped bool) {
	for !p.crashed() {
		until := p.machine.stoppedUntil()
		if until <= 0 {
			return stopped
		}
		stopped = true
		time.Sleep(until + d.between(0, time.Millisecond))
	}
	return stopped
}

// ask is a request that only reads. It is repeated by the driver: what remains is
// that it may be slow, and fails when the database cannot be reached for long.
func (p *process) ask(ctx context.Context, kind, key string, look func(*world, *draw)) error {
	w := p.world
	d, _, err := p.send(ctx, kind, key)
	if err != nil {
		return err
	}
	before, after := d.between(200*time.Microsecond, 4*time.Millisecond), time.Duration(0)
	fails := false
	if w.faulty() {
		switch r := d.below(1000); {
		case p.machine.at(p.machine.outages) && r < 950, r < w.odds.lost/2:
			before, fails = d.between(w.requestTimeout, 3*w.requestTimeout), true
		case r < 100+w.odds.slow/4:
			before, after = d.mostly(0, w.requestTimeout), d.mostly(0, w.requestTimeout)
		}
	}
	if before+after < 10*time.Millisecond {
		time.Sleep(before) // nearly all of the requests: one timer and no more
	} else if err := p.wait(ctx, before); err != nil {
		return err
	}
	w.mu.Lock()
	look(w, d)
	w.mu.Unlock()
	if after > 0 {
		if err := p.wait(ctx, after); err != nil {
			return err
		}
	}
	p.gate(d)
	switch {
	case p.crashed():
		return errCrashed
	case ctx.Err() != nil:
		return ctx.Err()
	case fails:
		return gocql.ErrTimeoutNoResponse
	}
	return nil
}

func (p *process) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exchange is a conditional update. It calls effect when it takes effect. hang, which
// may be nil, is called when a majority accepts it and nobody commits it, and returns
// what is called when that is settled: nil if its condition does not hold.
func (p *process) exchange(ctx context.Context, kind, key string, effect func(w *world, again bool), hang func(*world) func(done bool)) error {
	d, _, err := p.send(ctx, kind, key)
	if err != nil {
		return err
	}
	w := p.world
	// The context may have ended since the request was on its way.
	if ctx.Err() != nil && d.chance(500) {
		return ctx.Err()
	}
	f := w.fate(p, d)
	if f.refused {
		time.Sleep(f.answer)
		p.gate(d)
		return &gocql.RequestErrUnavailable{Consistency: gocql.Serial, Required: 2, Alive: 1}
	}
	if f.apply != never {
		w.later(f.apply, func() {
			if !f.hanging || hang == nil {
				effect(w, false)
				return
			}
			w.settleHanging(key)
			if settle := hang(w); settle != nil {
				w.pins.hanging[key] = settle
			}
		})
	}
	if f.again != never {
		w.later(f.again, func() { effect(w, true) })
	}
	return p.answer(ctx, d, f.answer, w.requestTimeout)
}

// exchangeAppend appends rows, the first of which is of that revision. The driver sends
// them up to three times.
func (p *process) exchangeAppend(ctx context.Context, feed string, first gocql.UUID, effect func(w *world, again bool)) error {
	d, stopped, err := p.send(ctx, "append", feed)
	if err != nil {
		return err
	}
	w := p.world
	if w.faulty() && d.chance(w.odds.stall/4) {
		stopped = true
		time.Sleep(d.between(0, 2*w.lim.writeDeadline))
	}
	if stopped && d.chance(500) {
		// It was stopped when the rows had their time, and their request had
		// no deadline yet.
		fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.lim.writeDeadline)
		defer cancel()
		ctx = fresh
	}
	if ctx.Err() != nil && d.chance(500) {
		return ctx.Err()
	}
	f := w.fate(p, d)
	if f.refused {
		time.Sleep(f.answer)
		p.gate(d)
		return &gocql.RequestErrUnavailable{Consistency: gocql.Quorum, Required: 2, Alive: 1}
	}
	if w.faulty() && f.apply != never && d.chance(w.odds.slow) {
		f.apply = d.between(0, w.lim.writeDeadline+time.Second)
		f.answer = f.apply + d.between(0, 10*time.Millisecond)
	}
	if w.slow.is(feed) {
		f = w.slow.fate(w, p.sends(first))
	}
	if f.apply != never {
		w.later(f.apply, func() {
			w.moved = time.Now()
			effect(w, false)
		})
	}
	return p.answer(ctx, d, f.answer, 3*w.requestTimeout)
}

// answer waits for the answer to a request.
func (p *process) answer(ctx context.Context, d *draw, after, timeout time.Duration) error {
	err := p.wait(ctx, min(after, timeout))
	p.gate(d) // a process that is stopped notices when it goes on
	switch {
	case p.crashed():
		return errCrashed
	case err != nil:
		return err
	case after > timeout:
		return gocql.ErrTimeoutNoResponse
	}
	return nil
}
