package tracker

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// killed is a process that was killed while it worked on one CID.
type killed struct {
	pins      string // one pause after another: r is a recursive one, d a direct one
	users     bool   // the user has pinned the CID recursively before
	scanned   bool   // no change tells of the first pin, a scan finds it
	early     bool   // rows are there before the process knows
	late      bool   // IPFS goes on with what it was asked for
	unsaved   bool   // the position was not stored
	after     time.Duration
	restarted bool // before the pin is removed
}

// TestKilled: whatever a process was at when it was killed, when the pin is removed IPFS
// has nothing any more but what its user has put there.
func TestKilled(t *testing.T) {
	const step = 100 * time.Millisecond
	n := 0
	try := func(pins string, pause time.Duration) {
		for after := time.Duration(0); after < time.Duration(len(pins)-1)*pause+2*time.Second; after += step {
			for bits := range 1 << 6 {
				on := func(bit int) bool { return bits&(1<<bit) != 0 }
				k := killed{pins: pins, users: on(0), scanned: on(1), early: on(2), late: on(3), unsaved: on(4), restarted: on(5), after: after}
				if k.users && pins != "d" {
					continue // with the pin it is the cluster's
				}
				n++
				if n%101 != 0 && os.Getenv("TEST_LONG") == "" {
					continue
				}
				synctest.Test(t, func(t *testing.T) { k.test(t, pause) })
			}
		}
	}
	for _, pins := range []string{"r", "d", "rd", "dr", "rdr", "drd"} {
		for _, pause := range []time.Duration{200 * time.Millisecond, 700 * time.Millisecond, 2500 * time.Millisecond} {
			try(pins, pause)
		}
	}
	t.Logf("%d ways to kill a process, of which all are tried with TEST_LONG=1, else every 101st", n)
}

func (k killed) test(t *testing.T, pause time.Duration) {
	st, daemon := newStore(), newIPFS()
	st.slow, st.early, daemon.late = 300*time.Millisecond, k.early, k.late
	c := statetest.Cid("a")
	if k.users {
		daemon.pins[c] = -1
	}
	r := newRig(t, st, daemon)
	time.AfterFunc(k.after, r.stop)

	made := false // a change that makes the pin is not passed
	var ends []func() bool
	tell := func(p *api.Pin) {
		ch := st.set(c, p)
		first := ch.First
		ch.Unpassed = made
		if k.unsaved {
			ends = append(ends, func() bool { return !first })
		}
		if r.ctx.Err() != nil {
			made = made || first
			return
		}
		done := r.act(ch)
		ends = append(ends, func() bool { return !first || done() })
	}
	for i, kind := range k.pins {
		pin := r.own("a")
		if kind == 'd' {
			pin = r.direct("a")
		}
		if k.scanned {
			pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Allocations = -1, -1, nil
		}
		if i == 0 && k.scanned {
			st.set(c, pin)
			r.run()
		} else {
			tell(pin)
		}
		time.Sleep(pause)
	}
	time.Sleep(2 * time.Second)
	r.stop()
	time.Sleep(5 * time.Second) // IPFS has ended what it was asked for
	for _, ended := range ends {
		made = made || !ended()
	}
	ends = nil
	st.slow = 0
	r = newRig(t, st, daemon)
	if k.restarted {
		pin := st.pins[c]
		tell(&pin)
		r.run()
		time.Sleep(20 * time.Second)
	}
	tell(nil)
	if !k.restarted {
		r.run()
	}
	seconds(60)
	if _, held := daemon.all()[c]; held != k.users || len(st.all()) != 0 || r.inMemory() != 0 {
		t.Errorf("%+v: IPFS has %v, rows %v, %d in memory", k, daemon.all(), st.all(), r.inMemory())
	}
}
