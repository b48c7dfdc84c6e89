package scyllastate

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// slowAppends are tables in which the appends to one feed are slow.
type slowAppends struct {
	tables
	feed  string
	takes time.Duration
	// lost is how often each batch is sent before it comes to an end.
	lost int

	mu   sync.Mutex
	sent map[string]int // how often it was, by the revision of its first row
}

func (s *slowAppends) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	if rows[0].Feed != s.feed {
		return s.tables.appendChanges(ctx, rows, at)
	}
	s.mu.Lock()
	rev := rows[0].Rev.String()
	s.sent[rev]++
	takes := s.takes
	if s.sent[rev] <= s.lost {
		takes = time.Hour
	}
	s.mu.Unlock()
	select {
	case <-time.After(takes):
		return s.tables.appendChanges(ctx, rows, at)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowDown makes the appends of a store to one feed slow.
func slowDown(s *Store, feed string, takes time.Duration, lost int) {
	s.tables = &slowAppends{tables: s.tables, feed: feed, takes: takes, lost: lost, sent: make(map[string]int)}
	s.intents.tables = s.tables
}

// TestSlowAppends: a pin for two peers, one of which hears of it at once while the
// append to the feed of the other takes long. It is written, at the first try as a rule,
// and both peers act. (When writers were fenced after two seconds it never was.)
func TestSlowAppends(t *testing.T) {
	const mostTries = 3 // where this machine stands still for a while
	fast, slow := statetest.Peer("fast"), statetest.Peer("slow")
	before := held("a", fast, slow)
	before.Name = "before"
	after := before
	after.Name = "after"
	add := func(s *Store, ctx context.Context) error { return s.Add(ctx, after) }
	remove := func(s *Store, ctx context.Context) error { return s.Rm(ctx, after.Cid) }
	for _, tt := range []struct {
		name  string
		takes time.Duration
		exist *api.Pin
		write func(*Store, context.Context) error
		want  *api.Pin
		lost  int
	}{
		{"create, 3 s", 3 * time.Second, nil, add, &after, 0},
		{"create, 8 s", 8 * time.Second, nil, add, &after, 0},
		{"replace, 8 s", 8 * time.Second, &before, add, &after, 0},
		{"remove, 3 s", 3 * time.Second, &before, remove, nil, 0},
		{"create, 10 s lost and 3 s", 3 * time.Second, nil, add, &after, 1},
		{"replace, 10 s lost and 3 s", 3 * time.Second, &before, add, &after, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.lost > 0 {
				needLong(t, "it takes half a minute")
			}
			t.Parallel()
			conf := testConfig(t)
			writer, reader := openStore(t, conf), openStore(t, conf)
			if tt.exist != nil {
				must(t, reader.Add(t.Context(), *tt.exist))
			}
			atFast, atSlow := consume(t, reader, fast), consume(t, reader, slow)
			if tt.exist != nil {
				atFast.wait(t, tt.exist.Cid, tt.exist)
				atSlow.wait(t, tt.exist.Cid, tt.exist)
			}
			slowDown(writer, slow.String(), tt.takes, tt.lost)
			tries := 0
			writer.at = func(p point, _ *write) {
				if p == beforeIntents {
					tries++
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := tt.write(writer, ctx); err != nil {
				t.Fatalf("after %d tries: %v", tries, err)
			}
			if tries > mostTries {
				t.Errorf("it was written at the %d. try", tries)
			}
			wantPin(t, reader, after.Cid, tt.want)
			atFast.wait(t, after.Cid, tt.want)
			atSlow.wait(t, after.Cid, tt.want)
		})
	}
}
