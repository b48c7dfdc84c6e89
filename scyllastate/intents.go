package scyllastate

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/plugin/ochttp/propagation/tracecontext"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Values of the column kind.
const (
	// kindPin is that of a write after which the peer is to hold the pin, recursively,
	// kindUnpin that of one after which it is not: also the pin was given to others.
	kindPin   int8 = 1
	kindUnpin int8 = 2
	// kindLook is that of a change which is no evidence that IPFS was asked for
	// anything: there was no write, or the pin is a direct one, which a peer notes
	// before it asks.
	kindLook int8 = 3
	// kindFence is that of a fence, to those who hold the pin. Versions before it
	// take it for kindLook.
	kindFence int8 = 4
)

const (
	// maxBatchBytes keeps a batch below what the engines warn about.
	maxBatchBytes = 64 << 10
	// intentBytes is what one row of changes takes beside its CID.
	intentBytes = 120
	// maxAppends is how often rows are appended again after an error, or
	// because the append took longer than the write deadline.
	maxAppends = 4
)

// intent is one row of changes. Feed is known before, the slot and the time are
// those of the append.
type intent struct {
	Feed        string
	Cid         []byte
	Rev         gocql.UUID
	Prev        *gocql.UUID
	Kind        int8
	Traceparent string
	// Of events only.
	Peer  string
	Size  int64
	Error string
}

// newIntents makes a row for each feed that the write concerns.
func newIntents(ctx context.Context, w *write) []intent {
	base := intent{Cid: w.cid.Bytes(), Rev: w.rev, Kind: kindUnpin, Traceparent: traceparent(ctx)}
	if !w.old.absent() {
		base.Prev = &w.old.rev
	}
	var holders []string
	if w.next != nil {
		holders = feedsFor(&w.next.pin)
	}
	out := make([]intent, len(w.feeds))
	for i, feed := range w.feeds {
		out[i] = base
		out[i].Feed = feed
		switch {
		case isEventFeed(feed):
			out[i].Kind = eventKindOf(ctx, w)
		case slices.Contains(holders, feed):
			out[i].Kind = kindOf(&w.next.pin)
		}
	}
	return out
}

// kindOf is the kind of a pin for those who are to hold it.
func kindOf(pin *api.Pin) int8 {
	if pin.MaxDepth == 0 {
		return kindLook
	}
	return kindPin
}

// feedsFor names the feeds of everybody who holds one of the pins: a peer that
// does not hold a pin any more must be told as well.
func feedsFor(pins ...*api.Pin) []string {
	var out []string
	seen := make(map[string]bool)
	add := func(feed string) {
		if !seen[feed] {
			seen[feed] = true
			out = append(out, feed)
		}
	}
	for _, pin := range pins {
		switch {
		case pin == nil:
		case pin.IsPinEverywhere():
			add(everywhereFeed(pin.Cid))
		default:
			for _, p := range pin.Allocations {
				add(p.String())
			}
		}
	}
	return out
}

// everywherePrefix begins the names of the feeds for every peer.
const everywherePrefix = "*/"

// sharedFeeds are the feeds for every peer.
func sharedFeeds() []string {
	feeds := make([]string, everywhereShards)
	for shard := range feeds {
		feeds[shard] = everywherePrefix + strconv.Itoa(shard)
	}
	return feeds
}

// everywhereFeed is the feed for changes of c that concern every peer.
func everywhereFeed(c api.Cid) string {
	key := c.Bytes()
	return everywherePrefix + strconv.Itoa(int(key[len(key)-1])%everywhereShards)
}

// traceparent is the W3C trace context of the span in ctx, empty without one
// that is sampled.
func traceparent(ctx context.Context) string {
	span := trace.FromContext(ctx)
	if span == nil || !span.SpanContext().IsSampled() {
		return ""
	}
	sc := span.SpanContext()
	return "00-" + hex.EncodeToString(sc.TraceID[:]) + "-" + hex.EncodeToString(sc.SpanID[:]) + "-01"
}

// traced starts a span in the trace of a write, if that was traced. The caller calls end.
func traced(ctx context.Context, name, traceparent string) (_ context.Context, end func()) {
	if traceparent == "" {
		return ctx, func() {}
	}
	parent, ok := (&tracecontext.HTTPFormat{}).SpanContextFromHeaders(traceparent, "")
	if !ok {
		return ctx, func() {}
	}
	ctx, span := trace.StartSpanWithRemoteParent(ctx, name, parent)
	return ctx, span.End
}

// appender writes intents. Those for one feed that wait at the same moment
// travel in one batch, which is one mutation of one partition. There is no
// timer: a row that comes alone leaves alone, at once.
type appender struct {
	tables   tables
	deadline time.Duration
	window   time.Duration
	// patience is how long rows wait for those before them: a batch that begins later
	// might end after the longest time that readers give a writer.
	patience time.Duration
	now      func() time.Time
	// random is that of the Store.
	random func(time.Duration) time.Duration
	// check fails while the clock is wrong.
	check func() error

	mu      sync.Mutex
	waiting map[string][]*waiter
	// opened are the feeds that are known to have a cursor. There are as many
	// as peers.
	opened map[string]struct{}
}

// waiter is an intent and the one that waits for it.
type waiter struct {
	ctx    context.Context
	intent intent
	since  time.Time
	done   chan<- error
}

func newAppender(s *Store) *appender {
	return &appender{
		tables: s.tables, deadline: s.lim.writeDeadline, window: s.lim.window(), patience: s.lim.window() << (maxDoublings - 1), now: s.now, random: s.random, check: s.clock.check,
		waiting: make(map[string][]*waiter), opened: make(map[string]struct{}),
	}
}

// append returns when all rows are durable, each not later than the write
// deadline after the time that it carries. It fails where one had to wait too long. Rows may have been written also when
// it returns an error; without a write that follows them they mean nothing.
// Action Land of spec/WritePath.tla.
func (a *appender) append(ctx context.Context, rows []intent) error {
	for _, r := range rows {
		if err := a.open(ctx, r.Feed); err != nil {
			return err
		}
	}
	done := make(chan error, len(rows))
	a.mu.Lock()
	for _, r := range rows {
		queue, busy := a.waiting[r.Feed]
		a.waiting[r.Feed] = append(queue, &waiter{ctx: ctx, intent: r, since: time.Now(), done: done})
		if !busy {
			go a.drain(r.Feed)
		}
	}
	a.mu.Unlock()
	for range rows {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// open makes sure that a peer which has never read its feed, because it has not
// started yet, will begin before what is about to be appended: an import may
// allocate pins to it. The feeds for every peer need no cursor, a new peer finds
// their pins in everywhere. Those of events begin when the keyspace has events.
func (a *appender) open(ctx context.Context, feed string) error {
	a.mu.Lock()
	_, known := a.opened[feed]
	a.mu.Unlock()
	if known || strings.HasPrefix(feed, everywherePrefix) || isEventFeed(feed) {
		return nil
	}
	at, err := a.tables.readCursor(ctx, feed, feed)
	if err == nil && at.holder == nil && at.position.IsZero() {
		if err = a.check(); err == nil {
			err = a.tables.openCursor(ctx, feed, feed, a.now().Add(-a.window))
		}
	}
	if err != nil {
		return fmt.Errorf("opening feed %s: %w", feed, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened[feed] = struct{}{}
	return nil
}

// drain writes what waits for one feed, batch after batch, until nothing does.
// The entry in the map says that it runs.
func (a *appender) drain(feed string) {
	for {
		a.mu.Lock()
		queue := a.waiting[feed]
		if len(queue) == 0 {
			delete(a.waiting, feed)
			a.mu.Unlock()
			return
		}
		n, size := 0, 0
		for n < len(queue) && (n == 0 || size < maxBatchBytes) {
			size += intentBytes + len(queue[n].intent.Cid) + len(queue[n].intent.Error)
			n++
		}
		batch := slices.DeleteFunc(queue[:n:n], a.leaves)
		a.waiting[feed] = queue[n:]
		a.mu.Unlock()
		if len(batch) == 0 {
			continue
		}

		err := a.write(batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

// leaves reports whether a waiter is not to be written: it has left, or is sent away as
// it has waited for too long.
func (a *appender) leaves(w *waiter) bool {
	if w.ctx.Err() != nil {
		return true
	}
	if time.Since(w.since) <= a.patience {
		return false
	}
	w.done <- fmt.Errorf("the append to the feed %s has waited for %s behind others, and was not begun: the database is slow for what is written to that feed", w.intent.Feed, a.patience)
	return true
}

// write appends one batch, again when it failed or came too late: readers look
// for rows that arrive late only as long as the deadline allows, and only if the
// rows carry the right time.
// Action Land of spec/WritePath.tla.
func (a *appender) write(batch []*waiter) error {
	var err error
	for try := range maxAppends {
		if err = a.check(); err != nil {
			return err
		}
		at := a.now()
		err = a.send(batch, at)
		if err == nil {
			err = a.check()
		}
		switch late := elapsed(at, a.now()) > a.deadline; {
		case err == nil && !late:
			return nil
		case err == nil:
			err = fmt.Errorf("the append took longer than the write deadline (%s)", a.deadline)
		case scylla.Permanent(err):
			return err
		}
		if e := pause(context.Background(), a.random, try); e != nil {
			return e
		}
	}
	return err
}

func (a *appender) send(batch []*waiter, at time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), a.deadline)
	defer cancel()
	rows := make([]intent, len(batch))
	for i, w := range batch {
		rows[i] = w.intent
	}
	return a.tables.appendChanges(ctx, rows, at)
}

// slotOf is the partition of a feed that the time falls into.
func slotOf(t time.Time) int64 { return t.Unix() / int64(slotLength/time.Second) }

// slotStart is the first moment of a partition of a feed.
func slotStart(slot int64) time.Time { return time.Unix(slot*int64(slotLength/time.Second), 0) }
