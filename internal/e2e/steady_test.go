package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// steadyClients is how many clients a steady load has.
	steadyClients = 16
	// steadyPause is the time between two requests of one client, unless an
	// answer takes longer.
	steadyPause = 400 * time.Millisecond
	// usualP99 is what 99 of 100 requests take at most while nothing is wrong, on a
	// machine of two cores that runs all the processes.
	usualP99 = 2 * time.Second
	// steadyOwn is how many pins a client keeps.
	steadyOwn = 3
)

// steady is a load that leaves a peer time to breathe: what a request takes is
// the peer's and the database's doing. Each client pins CIDs of its own and
// unpins them later, and looks after either whether that was done.
type steady struct {
	peer *rest
	free chan string // CIDs that nobody uses
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	phase *phase
}

// phase is a time of a load, and what is wanted of it.
type phase struct {
	name string
	// p99 is what 99 of 100 requests may take at most.
	p99     time.Duration
	pending sync.WaitGroup
	took    []time.Duration
	errs    []error
	// failed is when the last request failed.
	failed time.Time
}

// newSteady begins a load. It needs a few hundred CIDs.
func newSteady(t *testing.T, peer *rest, cids []string) *steady {
	t.Helper()
	l := &steady{peer: peer, free: make(chan string, len(cids)), stop: make(chan struct{}), phase: new(phase)}
	for _, cid := range cids {
		l.free <- cid
	}
	for range steadyClients {
		l.done.Go(l.client)
	}
	t.Cleanup(l.end)
	return l
}

// end returns when every client has its last answer.
func (l *steady) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.done.Wait()
}

// enter begins a phase and returns it. A request belongs to the phase in which
// it was sent.
func (l *steady) enter(name string, p99 time.Duration) *phase {
	p := &phase{name: name, p99: p99}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = p
	return p
}

// lasts is enter, and returns when the phase is over: what is sent from then on
// belongs to none, or the phase would never have all its answers.
func (l *steady) lasts(name string, p99, length time.Duration) *phase {
	p := l.enter(name, p99)
	<-time.After(length) // how long it lasts is what is tested
	l.enter("between phases", 0)
	return p
}

func (l *steady) client() {
	tick := time.NewTicker(steadyPause)
	defer tick.Stop()
	var own []string
	for {
		for _, do := range []func(){
			func() {
				cid := <-l.free
				if l.send(func() error { return l.peer.pin(cid, nil) }) {
					own = append(own, cid)
				} else {
					l.free <- cid
				}
			},
			func() {
				if len(own) > 0 {
					l.send(func() error { return l.peer.allocated(own[len(own)-1], true) })
				}
			},
			func() {
				if len(own) <= steadyOwn {
					return
				}
				cid := own[0]
				own = own[1:]
				if l.send(func() error { return l.peer.unpin(cid) }) {
					<-tick.C
					l.send(func() error { return l.peer.allocated(cid, false) })
				}
				l.free <- cid
			},
		} {
			select {
			case <-tick.C:
				do()
			case <-l.stop:
				return
			}
		}
	}
}

// send makes one request and notes its outcome.
func (l *steady) send(request func() error) bool {
	l.mu.Lock()
	p := l.phase
	p.pending.Add(1)
	l.mu.Unlock()
	defer p.pending.Done()
	began := time.Now()
	err := request()
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.took = append(p.took, took)
	if err != nil {
		p.failed = time.Now()
		p.errs = append(p.errs, fmt.Errorf("after %s: %w", took.Round(time.Millisecond), err))
	}
	return err == nil
}

// allocated returns an error unless the pinset has a pin, or has it not.
func (r *rest) allocated(cid string, want bool) error {
	err := r.do(http.MethodGet, "/allocations/"+cid, nil)
	var answer *refusal
	gone := errors.As(err, &answer) && answer.status == http.StatusNotFound
	switch {
	case want && gone:
		return fmt.Errorf("%s is not in the pinset, after its pin was acknowledged", cid)
	case !want && err == nil:
		return fmt.Errorf("%s is in the pinset, after its unpin was acknowledged", cid)
	case gone:
		return nil
	}
	return err
}

// report tells what became of the requests of a phase that is over, when all have
// their answers.
func (p *phase) report(t *testing.T) {
	t.Helper()
	p.pending.Wait()
	slices.Sort(p.took)
	if len(p.took) == 0 {
		t.Errorf("%s: no request was made", p.name)
		return
	}
	unknown := 0
	for _, err := range p.errs {
		if strings.Contains(err.Error(), "outcome of the write is unknown") {
			unknown++
		}
	}
	t.Logf("%s: %d requests, p50 %s, p99 %s, longest %s, %d failed, %d of them with an unknown outcome", p.name, len(p.took),
		p.quantile(0.5), p.quantile(0.99), p.quantile(1), len(p.errs), unknown)
}

// quantile is what the given share of the requests took at most.
func (p *phase) quantile(share float64) time.Duration {
	return p.took[int(float64(len(p.took)-1)*share)].Round(100 * time.Microsecond)
}

// check reports a phase in which no request may fail or be late.
func (p *phase) check(t *testing.T) {
	t.Helper()
	p.report(t)
	if len(p.took) == 0 {
		return
	}
	if p99 := p.quantile(0.99); p99 > p.p99 {
		t.Errorf("%s: p99 is %s, more than %s", p.name, p99, p.p99)
	}
	if len(p.errs) > 0 {
		t.Errorf("%s: %d requests failed, the first %s", p.name, len(p.errs), p.errs[0])
	}
}
