package scyllastate

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestFirst: a change that makes a pin says so, as long as the pin is as it was made and
// the feed tells the next process of it. By that a peer knows that it has no row.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		none := gocql.UUID{}
		made, later := newUUID(time.Now()), newUUID(time.Now().Add(time.Second))
		for label, tt := range map[string]struct {
			prev, pinPrev gocql.UUID // of the change and of the pin
			kind          int8
			gone          bool
			want          bool
		}{
			"made":             {none, none, kindPin, false, true},
			"made directly":    {none, none, kindLook, false, false},
			"written again":    {made, made, kindPin, false, false},
			"newer than told":  {none, made, kindPin, false, false},
			"another lost":     {made, none, kindPin, false, false},
			"made and removed": {none, made, kindPin, true, false},
		} {
			r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
			pin, err := encodePin(held(label, statetest.Peer("a")))
			if err != nil {
				t.Fatal(err)
			}
			c := statetest.Cid(label)
			stored := row{rev: later, prev: tt.pinPrev, pin: pin.value}
			if tt.gone {
				stored.pin = nil
			}
			r.mu.Lock()
			r.pins = map[string]row{string(c.Bytes()): stored}
			r.rows[ownName] = append(r.rows[ownName], changeRow{at: newUUID(time.Now()), cid: c.Bytes(), prev: tt.prev, kind: tt.kind})
			r.mu.Unlock()
			time.Sleep(time.Minute)
			if calls := r.calls(label); len(calls) != 1 || calls[0].First != tt.want {
				t.Errorf("%s: %+v", label, calls)
			}
		}
	})
}
