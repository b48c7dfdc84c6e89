package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestOverloadedEngine: the database stands still for half of the time, as one that has
// more to do than it can, and what comes from the writer, by a face of ScyllaDB, waits
// for longer than the first attempt of a request: to announce a write and to make it takes four
// seconds. Every write ends, applied, refused, or with an error within the limit of its request,
// none is made again and again, and both its peers, which have no such way, hear of
// what was written.
func TestOverloadedEngine(t *testing.T) {
	needLong(t, "it slows a server of its own down for a minute")
	const (
		writers  = 32
		limit    = time.Minute
		overload = time.Minute
		queued   = 1500 * time.Millisecond
		stands   = time.Second // and runs for as long
	)
	server := cqltest.StartFace(t, engine.Options{}, scyllaface.Options{})
	conf := configOn(t, &server.Server, server.Keyspace(t))
	writer := openStore(t, conf)
	past := *conf
	past.Hosts = server.Cluster().Hosts()
	reader := openStore(t, &past)
	warm(t, writer)
	a, b := statetest.Peer("a"), statetest.Peer("b")
	atA, atB := consume(t, reader, a), consume(t, reader, b)

	var mu sync.Mutex
	tries := make(map[api.Cid]int)
	writer.at = func(p point, w *write) {
		if p == beforeIntents {
			mu.Lock()
			defer mu.Unlock()
			tries[w.cid]++
		}
	}
	outcome := make(map[api.Cid]error)
	ctx, cancel := context.WithTimeout(t.Context(), overload)
	defer cancel()
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				pin := held(fmt.Sprint(i, " ", n), a, b)
				within, end := context.WithTimeout(context.WithoutCancel(ctx), limit)
				begun := time.Now()
				err := writer.Add(within, pin)
				took := time.Since(begun)
				end()
				mu.Lock()
				outcome[pin.Cid] = err
				mu.Unlock()
				if most := limit + writer.resolveTime() + time.Second; took > most {
					t.Errorf("a write ended after %s: %v", took, err)
				}
			}
		})
	}
	node := server.Face().Nodes()[0]
	node.Delay(queued)
	for ctx.Err() == nil { // the length of the stops is what is tested
		must(t, server.Cluster().Freeze(0))
		time.Sleep(stands)
		must(t, server.Cluster().Resume(0))
		time.Sleep(stands)
	}
	running.Wait()
	node.Delay(0)

	applied, failed, unknown, most := 0, 0, 0, 0
	var first error
	for c, err := range outcome {
		most = max(most, tries[c])
		switch {
		case err == nil:
			applied++
		case errors.Is(err, state.ErrOutcomeUnknown):
			unknown++
		default:
			failed++
			first = err
		}
	}
	t.Logf("%d writes were applied, %d failed, of %d the outcome is unknown; the longest took %d tries; one that failed: %v", applied, failed, unknown, most, first)
	if most > maxDoublings+2 {
		t.Errorf("a write was tried %d times: it was fenced again and again", most)
	}
	if applied == 0 {
		t.Error("no write came through")
	}
	for c, err := range outcome {
		_, getErr := reader.Get(t.Context(), c)
		switch {
		case err == nil && getErr != nil:
			t.Errorf("%s is acknowledged, and reading it says %v", c, getErr)
		case err != nil && !errors.Is(err, state.ErrOutcomeUnknown) && getErr != state.ErrNotFound:
			t.Errorf("%s is refused (%v), and reading it says %v", c, err, getErr)
		}
		if err != nil {
			continue
		}
		for _, r := range []*recorder{atA, atB} {
			waitFor(t, "the peers to hear of what was written", func() bool {
				pin, _ := r.seen(c)
				return pin != nil
			})
		}
	}
}
