package scylla

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// outageAgain is the time between two lines about one outage.
	outageAgain = 10 * time.Minute
	// outageOver is how long no request may fail before an outage counts as
	// over.
	outageOver = 10 * time.Second
)

// outage tells the log that the database does not serve: once when it begins,
// from time to time while it lasts, and once at the end, however many requests
// of however many loops fail. It is safe for concurrent use.
type outage struct {
	// on spares the requests that work the lock.
	on atomic.Bool

	mu     sync.Mutex
	since  time.Time
	last   time.Time // failure
	served time.Time // the last request that worked while others did not
	told   time.Time
	failed int
}

// failure notes that a request was given up because the database does not serve
// it.
func (o *outage) failure(err *RequestError) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = now
	o.failed++
	switch {
	case !o.on.Load():
		o.since, o.told, o.failed, o.served = now, now, 1, time.Time{}
		o.on.Store(true)
		logger.Errorf("the database does not serve requests: %s", err.detail())
	case now.Sub(o.told) >= outageAgain:
		o.told = now
		logger.Errorf("the database has not served %d requests for %s, the last one: %s", o.failed, now.Sub(o.since).Round(time.Second), err.detail())
	}
}

// success notes that a request worked.
func (o *outage) success() {
	if !o.on.Load() {
		return
	}
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.served = now
	if o.on.Load() && now.Sub(o.last) >= outageOver {
		o.on.Store(false)
		logger.Warnf("the database serves requests again; %d failed in %s", o.failed, o.last.Sub(o.since).Round(time.Second))
	}
}
