package service

import (
	"fmt"
	"io"
	"time"
)

// progress says from time to time how far long work has come.
type progress struct {
	w     io.Writer
	done  string // what was done to the pins, "exported"
	every time.Duration
	start time.Time
	last  time.Time
}

func newProgress(w io.Writer, done string) *progress {
	now := time.Now()
	return &progress{w: w, done: done, every: 10 * time.Second, start: now, last: now}
}

// tick is called often, with the number of pins that are done.
func (p *progress) tick(n int) {
	now := time.Now()
	if now.Sub(p.last) < p.every {
		return
	}
	p.last = now
	elapsed := now.Sub(p.start)
	fmt.Fprintf(p.w, "%d pins %s in %s (%.0f a second)\n", n, p.done, elapsed.Round(time.Second), float64(n)/elapsed.Seconds())
}
