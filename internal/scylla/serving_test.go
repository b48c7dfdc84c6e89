package scylla

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestServing goes by what became of requests.
func TestServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outage
		if err := o.err(time.Now()); err != nil {
			t.Errorf("before any request: %v", err)
		}
		o.failure(&RequestError{Err: errors.New("timeout")})
		time.Sleep(3 * time.Second)
		o.failure(&RequestError{Err: errors.New("timeout")})
		time.Sleep(2 * time.Second)
		if err := o.err(time.Now()); err == nil || !strings.Contains(err.Error(), "2 failed in 3s, the last one 2s ago") {
			t.Errorf("in an outage: %v", err)
		}
		o.success() // one piece of the ring of several
		if err := o.err(time.Now()); err != nil || !o.on.Load() {
			t.Errorf("while some requests work: %v, and it is over: %t", err, !o.on.Load())
		}
		time.Sleep(outageOver - time.Second)
		o.failure(&RequestError{Err: errors.New("timeout")})
		time.Sleep(time.Second)
		if o.err(time.Now()) == nil {
			t.Error("no request has worked for long, and it serves")
		}
		time.Sleep(outageOver)
		o.success()
		if err := o.err(time.Now()); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}
