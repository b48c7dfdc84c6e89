package pins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var errNotHeard = errors.New("nobody listens")

// ear is told of claims. It is an error to be told one fact in two ways. It is safe for
// concurrent use.
type ear struct {
	tb testing.TB

	mu    sync.Mutex
	fail  int               // the odds, in a hundred, that it stops listening within a call
	heard map[string]string // the event, by its id
	times map[string]int
	calls int
}

func newEar(tb testing.TB) *ear {
	return &ear{tb: tb, heard: make(map[string]string), times: make(map[string]int)}
}

// eventOf is what becomes of a claim on the wire.
func eventOf(c *Claim) events.Event {
	types := map[Fact]events.Type{FactAccepted: events.ClaimAdded, FactPinned: events.ClaimPinned, FactSized: events.ClaimSized, FactEnded: events.ClaimRemoved}
	return events.ClaimEvent("/", types[c.Fact], events.ClaimData{
		Cid: c.CID, Owner: c.Tenant, RequestID: c.ID, Name: c.Name, Accepted: c.Created, Pinned: c.Pinned, Removed: c.Removed, Replicas: c.ReplMax, Size: c.Size,
	})
}

func (e *ear) Tell(_ context.Context, all []Claim) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(all) == 0 {
		if e.fail == 100 {
			return errNotHeard
		}
		return nil
	}
	e.calls++
	deafAfter := len(all)
	if rand.IntN(100) < e.fail {
		deafAfter = rand.IntN(len(all))
	}
	for i := range all {
		if e.fail == 100 || i == deafAfter {
			return errNotHeard
		}
		event := eventOf(&all[i])
		text, err := event.Encode()
		if err != nil {
			e.tb.Errorf("%+v cannot be told: %v", all[i], err)
		}
		if before, is := e.heard[event.ID()]; is && before != string(text) {
			e.tb.Errorf("told\n%s\nand then\n%s", before, text)
		}
		e.heard[event.ID()] = string(text)
		e.times[event.ID()]++
	}
	return nil
}

// listen sets the odds that it does not.
func (e *ear) listen(fail int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

// of is what it has heard of a request, as "added pinned sized removed".
func (e *ear) of(r Request) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, kind := range []string{"added", "pinned", "sized", "removed"} {
		if _, is := e.heard[r.Tenant+"/"+r.ID+"/claim."+kind]; is {
			all = append(all, kind)
		}
	}
	return strings.Join(all, " ")
}

// claim is the last that it has heard of a request.
func (e *ear) claim(r Request) events.ClaimData {
	e.tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var last events.ClaimData
	for id, text := range e.heard {
		event, err := events.Parse([]byte(text))
		if err != nil {
			e.tb.Fatal(err)
		}
		if strings.HasPrefix(id, r.Tenant+"/"+r.ID+"/") && events.Newer(event.Claim.At, last.At) {
			last = *event.Claim
		}
	}
	return last
}

// accounted checks what holds once all is done: of each request that is there, and of each
// that is gone, all was told that the export says, in the same words, and nothing of anything
// else.
func (e *ear) accounted(t *testing.T, s *Service, tenants ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	expected := make(map[string]bool)
	for _, tenant := range tenants {
		err := s.EachClaim(t.Context(), tenant, s.now().Add(-EndedKept), func(c Claim) error {
			for _, one := range c.facts() {
				event := eventOf(&one)
				text, err := event.Encode()
				if err != nil {
					return err
				}
				expected[event.ID()] = true
				if got, is := e.heard[event.ID()]; !is {
					t.Errorf("not told: %s", event.ID())
				} else if got != string(text) {
					t.Errorf("told was\n%s, want\n%s", got, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.heard)) {
		if !expected[id] {
			t.Errorf("told was %s\nwhich is not so", e.heard[id])
		}
	}
}

// telling is an instance that tells an ear.
func telling(db *scylla.DB, c *clock, hears *ear, skew time.Duration) *Service {
	s := newInstance(db, c, skew)
	s.told = hears
	return s
}

// passOf does what is due of the shards of some CIDs.
func passOf(tb testing.TB, w *Worker, cids ...int) {
	tb.Helper()
	done := make(map[int]bool)
	for _, n := range cids {
		shard := shardOf(testCID(n))
		if done[shard] {
			continue
		}
		done[shard] = true
		pass(tb, w, shard)
	}
}

// mustDo does what is next in the queue.
func mustDo(t *testing.T, s *Service, w *Worker) {
	t.Helper()
	if err := w.do(t.Context(), mustPop(t.Context(), s)); err != nil {
		t.Fatal(err)
	}
}

func mustRemove(t *testing.T, s *Service, r Request) {
	t.Helper()
	if err := s.Remove(t.Context(), r.Tenant, r.ID); err != nil {
		t.Fatal(err)
	}
}

// export is what EachClaim says, one line for each.
func export(t *testing.T, s *Service, tenant string, since time.Time) []string {
	t.Helper()
	var all []string
	err := s.EachClaim(t.Context(), tenant, since, func(c Claim) error {
		ms := func(t time.Time) int64 {
			if t.IsZero() {
				return 0
			}
			return t.UnixMilli()
		}
		all = append(all, fmt.Sprint(c.Fact, " ", c.Name, " ", ms(c.Created), " ", ms(c.Pinned), " ", ms(c.Removed), " ", c.ReplMax, " ", c.Size))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
