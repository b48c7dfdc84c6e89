package membership

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// shaky is a table whose reads take their time, and whose reads and heartbeats fail
// now and then.
type shaky struct {
	*table
	calm atomic.Bool

	mu     sync.Mutex
	random *rand.Rand
}

// below returns a random number, or 0 when it is calm.
func (s *shaky) below(n time.Duration) time.Duration {
	if s.calm.Load() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.random.Int64N(int64(n)))
}

func (s *shaky) ListMembers(ctx context.Context) ([]state.Member, error) {
	rows, err := s.table.ListMembers(ctx)
	time.Sleep(max(0, s.below(2*settled)-settled))
	if s.below(30) == 1 {
		return nil, errDown
	}
	return rows, err
}

func (s *shaky) Beat(ctx context.Context, id peer.ID, h state.Heartbeat) error {
	if s.below(30) == 1 {
		return errDown
	}
	return s.table.Beat(ctx, id, h)
}

// TestDeathsAreSeenTogether: of peers that died together none is gone before all
// are found dead.
func TestDeathsAreSeenTogether(t *testing.T) {
	for seed := range uint64(200) {
		inBubble(t, func(t *testing.T, db *table) {
			random := rand.New(rand.NewPCG(seed, 0))
			shaky := &shaky{table: db, random: rand.New(rand.NewPCG(seed, 1))}
			a := startPeer(t, options(shaky, "A"))
			death := time.Now().Add(10 * time.Minute)
			dying := []peer.ID{"B", "C", "D"}
			var beating sync.WaitGroup
			for _, id := range dying {
				every := time.Second + time.Duration(random.Int64N(int64(2*time.Minute)))
				phase := time.Duration(random.Int64N(int64(every)))
				beating.Go(func() {
					time.Sleep(phase)
					for beat := int64(1); time.Now().Before(death); beat++ {
						beatBy(t, db, id, beat, 2*every)
						time.Sleep(every)
					}
				})
			}
			time.Sleep(time.Until(death))
			for until := death.Add(10 * time.Minute); time.Now().Before(until); time.Sleep(300 * time.Millisecond) {
				view := a.View()
				dead, gone := 0, 0
				for _, id := range dying {
					p, _ := view.Get(id)
					if p.Dead() {
						dead++
					}
					if view.Gone(p) {
						gone++
					}
				}
				if gone > 0 && dead < len(dying) {
					t.Fatalf("seed %d: %d of %d peers are dead, and one is gone: %+v", seed, dead, len(dying), view)
				}
			}
			beating.Wait()
			shaky.calm.Store(true)
			after(10 * time.Minute)
			view := a.View()
			for _, id := range dying {
				if p, _ := view.Get(id); !view.Gone(p) {
					t.Errorf("seed %d: %s is not gone", seed, id)
				}
			}
		})
	}
}

// TestGone: a dead peer is gone when everybody who is alive was heard of since.
func TestGone(t *testing.T) {
	at := time.Unix(1000, 0)
	dead := Peer{ID: "dead", DeadSince: at}
	live := func(id peer.ID, heard time.Duration) Peer { return Peer{ID: id, Live: true, Heard: at.Add(heard)} }
	removed := live("removed", -time.Hour)
	removed.Removed = true
	for _, tt := range []struct {
		what   string
		p      Peer
		others []Peer
		want   bool
	}{
		{"nobody else", dead, nil, true},
		{"another was heard of since", dead, []Peer{live("x", 1)}, true},
		{"another was heard of before", dead, []Peer{live("x", 1), live("y", -1)}, false},
		{"another was heard of by the same read", dead, []Peer{live("x", 0)}, false},
		{"the viewer itself", dead, []Peer{live("self", -1)}, true},
		{"a removed one still beats", dead, []Peer{removed}, true},
		{"another was found dead later", dead, []Peer{{ID: "x", DeadSince: at.Add(time.Hour), Heard: at.Add(-1)}}, true},
		{"another was never heard of", dead, []Peer{{ID: "x", Heard: at.Add(-1)}}, true},
		{"removed", removed, []Peer{live("x", -1)}, true},
		{"alive", live("x", 1), nil, false},
		{"only starting, perhaps", Peer{ID: "x"}, nil, false},
	} {
		v := View{Self: "self", Peers: append(tt.others, tt.p)}
		if got := v.Gone(tt.p); got != tt.want {
			t.Errorf("%s: gone %t", tt.what, got)
		}
	}
}
