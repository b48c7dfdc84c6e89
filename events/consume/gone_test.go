package consume

import (
	"fmt"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// TestGoneHoldsUpNothing: what nobody can tell any more is asked for until the relay has said
// so, and what was missed later is told.
func TestGoneHoldsUpNothing(t *testing.T) {
	hole, later := interval{From: at(0), To: at(5000)}, interval{From: at(1_000_000), To: at(1_000_001)}
	s := &shard{Missing: []interval{hole, later}}
	r := newRun(&Consumer{opts: Options{AskAgain: time.Minute}})
	r.state = newState(at(1))
	r.state.Shards[0] = s
	a := &r.shards[0].ask
	for i := 1; ; i++ {
		iv, _, ok := s.ask(a.gone)
		if !ok {
			t.Fatal("it does not ask for what was missed later")
		}
		if iv == later {
			break
		}
		if i > 3 || iv.To.Sub(iv.From) > maxReplay {
			t.Fatalf("it asks for %v", iv)
		}
		a.sent = i
		r.answered(answer{sent: i, err: fmt.Errorf("asking: %w", bus.ErrGone)})
	}
	if !s.replayed(later) || len(s.Missing) != 1 || s.Missing[0] != hole {
		t.Errorf("%v is missing", s.Missing)
	}
	if iv, _, ok := s.ask(a.gone); ok {
		t.Errorf("it asks for %v again", iv)
	}
}
