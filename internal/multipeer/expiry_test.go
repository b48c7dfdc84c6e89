package multipeer

import (
	"fmt"
	"testing"
	"time"
)

// TestExpiry: pins that run out leave the pinset and every peer. One that was
// extended before stays.
func TestExpiry(t *testing.T) {
	w := newPeers(t, 2)
	soon := time.Now().Add(10 * time.Second).Truncate(time.Second) // as it is stored
	opts := factors(2, 2)
	opts.ExpireAt = soon
	extended := w.pin(w.nodes[0], "extended", opts)
	for i := range 4 {
		w.pin(w.nodes[i%2], fmt.Sprintf("short %d", i), opts)
	}
	everywhere := factors(-1, -1)
	everywhere.ExpireAt = soon
	w.pin(w.nodes[1], "everywhere", everywhere)
	w.pin(w.nodes[0], "for ever", factors(1, 1))
	opts.ExpireAt = time.Now().Add(time.Hour)
	w.pin(w.nodes[1], "extended", opts)
	if !time.Now().Before(soon) {
		t.Fatal("this machine is too slow: the pins ran out before they were all made")
	}
	if pins := w.desired(); len(pins) != 7 {
		t.Fatalf("%d pins before any ran out, want 7", len(pins))
	}
	w.expired(2)
	if time.Now().Before(soon) {
		t.Error("pins were removed before they ran out")
	}
	// One that runs out later is removed after the extended one was looked at.
	opts.ExpireAt = time.Now().Add(2 * time.Second)
	w.pin(w.nodes[0], "after", opts)
	w.expired(2)
	w.converge()
	if _, ok := w.desired()[extended.Cid]; !ok {
		t.Error("the pin that was extended is gone")
	}
}

// expired waits until so many pins are left.
func (w *world) expired(left int) {
	w.t.Helper()
	eventually(w.t, "pins to run out", func() string {
		if pins := w.desired(); len(pins) > left {
			return fmt.Sprintf("%d pins are left", len(pins))
		}
		return ""
	})
}
