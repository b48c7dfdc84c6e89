package adminhttp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// checkTimeout is how long a check may take. One that takes longer has failed.
const checkTimeout = 2 * time.Second

// Check is one thing that must hold for a process to be ready.
type Check struct {
	// Name is a word or two, as "database".
	Name string
	// Reported is set for what is told and does not make the process unready.
	Reported bool
	// Fresh is how long an outcome counts; 0 asks each time. It is for checks that ask
	// another process.
	Fresh time.Duration
	// Run returns nil if it holds, and else why not, in words for an operator. At most one
	// call runs at a time. Its context ends after two seconds.
	Run func(context.Context) error
}

// Outcome is what came of a check.
type Outcome struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Reported bool   `json:"reported,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Report is whether a process is ready, and why.
type Report struct {
	Ready  bool      `json:"ready"`
	Checks []Outcome `json:"checks"`
}

// Readiness runs checks. It is safe for concurrent use; the zero value is ready.
type Readiness struct {
	mu     sync.Mutex
	checks []*running
	last   atomic.Bool // what the last Report said
}

// running is a check with its last outcome.
type running struct {
	Check
	mu   sync.Mutex
	busy bool
	done chan struct{} // closed when the run that is busy has ended
	at   time.Time     // of the last end
	err  error
}

// Add adds checks. They show in the order in which they were added.
func (r *Readiness) Add(checks ...Check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range checks {
		r.checks = append(r.checks, &running{Check: c})
	}
}

// Report runs the checks side by side, but for those with an outcome that still counts. It
// returns after two seconds at the latest: a check that has not ended has failed, and is
// not begun again while it runs.
func (r *Readiness) Report(ctx context.Context) Report {
	r.mu.Lock()
	checks := r.checks
	r.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, c := range checks {
		c.begin()
	}
	report := Report{Ready: true, Checks: make([]Outcome, len(checks))}
	for i, c := range checks {
		out := Outcome{Name: c.Name, Reported: c.Reported}
		if err := c.wait(limited); err != nil {
			out.Error = err.Error()
			report.Ready = report.Ready && c.Reported
		} else {
			out.OK = true
		}
		report.Checks[i] = out
	}
	if ctx.Err() == nil {
		r.last.Store(report.Ready)
	}
	return report
}

// Last is what the last Report said, false before the first. It asks nobody.
func (r *Readiness) Last() bool { return r.last.Load() }

// Watch makes a Report every so often, so that Last is not older, until ctx ends.
func (r *Readiness) Watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		r.Report(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// begin runs the check in the background, unless it runs or its outcome still counts. The
// run does not end with who asked first: others wait for it, too.
func (c *running) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.done != nil && c.Fresh > 0 && time.Since(c.at) < c.Fresh {
		return
	}
	c.busy, c.done = true, make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		err := c.Run(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("it did not answer within %s", checkTimeout)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err, c.at, c.busy = err, time.Now(), false
		close(c.done)
	}()
}

// wait returns the outcome, of the run that is busy if there is one.
func (c *running) wait(ctx context.Context) error {
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	select {
	case <-done:
	default:
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %s", checkTimeout)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
