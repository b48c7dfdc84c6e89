package scyllastate

import (
	"context"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// cursorTables are the tables of a feedRig, with a cursor.
type cursorTables struct {
	*feedRig
	at cursor
}

func (c cursorTables) readCursor(context.Context, string, string) (cursor, error) { return c.at, nil }

// TestBacklog: the changes behind the cursor are listed, also behind one that a writer
// has opened for a peer which has never started, by one request for each minute.
func TestBacklog(t *testing.T) {
	me, now := gocql.MustRandomUUID(), time.Now()
	p := statetest.Peer("a")
	times := map[string]time.Duration{"hour": time.Hour, "minutes": 5 * time.Minute, "just now": time.Second}
	for name, tt := range map[string]struct {
		at   cursor
		want []string
		most int // requests
	}{
		"none":       {cursor{}, []string{"just now"}, 2},
		"opened":     {cursor{position: now.Add(-10 * time.Minute)}, []string{"just now", "minutes"}, 12},
		"held":       {cursor{position: now.Add(-2 * time.Hour), holder: &me}, []string{"just now", "minutes", "hour"}, 122},
		"up to date": {cursor{position: now, holder: &me}, nil, 2},
	} {
		r := &feedRig{rows: make(map[string][]changeRow), revs: make(map[string]gocql.UUID), reads: make(map[string]int)}
		for label, ago := range times {
			r.writeAt(p.String(), label, now.Add(-ago))
			r.writeAt(sharedFeeds()[1], "all, "+label, now.Add(-ago))
		}
		s := &Store{tables: cursorTables{r, tt.at}, lim: production(), now: func() time.Time { return now }}
		changed, next, err := s.backlog(t.Context(), p, 0)
		if err != nil || next != state.Buckets {
			t.Fatalf("%s: up to bucket %d, %v", name, next, err)
		}
		n := 0
		for _, keys := range changed {
			n += len(keys)
		}
		for _, label := range tt.want {
			for _, c := range []string{label, "all, " + label} {
				if cid := statetest.Cid(c); len(changed[state.Bucket(cid)]) == 0 {
					t.Errorf("%s: the change %q is missing", name, c)
				}
			}
		}
		if n != 2*len(tt.want) {
			t.Errorf("%s: %d changes, want %d", name, n, 2*len(tt.want))
		}
		sum := 0
		for _, reads := range r.reads {
			sum += reads
		}
		if sum > tt.most {
			t.Errorf("%s: %d requests, want at most %d", name, sum, tt.most)
		}
	}
}
