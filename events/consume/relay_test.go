package consume_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

const (
	// straggle is how far the relays of these tests stay behind: they tell changes that
	// are later than what they say that all is told until.
	straggle = 30 * time.Millisecond
	// manifestEvery is how often the relays of these tests tell how far they are.
	manifestEvery = 100 * time.Millisecond
)

// row is a change in a feed.
type row struct {
	at  time.Time
	cid string
}

// feed is the database of a shard: what was written, and the truth.
type feed struct {
	shard int
	mu    sync.Mutex
	rows  []row
	truth map[string]events.Event
	// writing are the times of the rows that are not appended yet.
	writing map[*time.Time]bool
}

func newFeed(shard int) *feed {
	return &feed{shard: shard, truth: make(map[string]events.Event), writing: make(map[*time.Time]bool)}
}

// write changes a CID, or removes it. Its row may be appended a moment after its time,
// behind later ones.
func (f *feed) write(cid string, removed bool) {
	e := pinEvent(cid, removed)
	f.mu.Lock()
	defer f.mu.Unlock()
	at := time.Now()
	f.writing[&at] = true
	if rand.IntN(8) == 0 {
		f.mu.Unlock()
		runtime.Gosched()
		f.mu.Lock()
	}
	delete(f.writing, &at)
	if old, ok := f.truth[cid]; !ok || events.Newer(e.Version(), old.Version()) {
		f.truth[cid] = e
	}
	f.rows = append(f.rows, row{at, cid})
}

// maxBatch is how many rows the relays of these tests read at a time.
const maxBatch = 256

// read returns what the relay tells of the rows from an index on that are later than a
// moment, the index of the next row, and through: no row comes that is not later.
func (f *feed) read(next int, after time.Time) (batch []bus.Message, end int, through time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	through = time.Now().Add(-straggle)
	for at := range f.writing {
		through = earlier(through, at.Add(-1))
	}
	end = min(next+maxBatch, len(f.rows))
	for _, r := range f.rows[end:] {
		through = earlier(through, r.at.Add(-1))
	}
	batch, err = f.messages(f.rows[next:end], func(r row) bool { return r.at.After(after) })
	return batch, end, through, err
}

// replay returns what the relay tells of the rows that are later than one moment and not
// later than another.
func (f *feed) replay(from, to time.Time) ([]bus.Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.messages(f.rows, func(r row) bool { return r.at.After(from) && !r.at.After(to) })
}

// messages returns the truth of the CIDs of those rows that are wanted, each once.
func (f *feed) messages(rows []row, wanted func(row) bool) ([]bus.Message, error) {
	var batch []bus.Message
	seen := make(map[string]bool)
	for _, r := range rows {
		if !wanted(r) || seen[r.cid] {
			continue
		}
		seen[r.cid] = true
		e := f.truth[r.cid]
		data, err := e.Encode()
		if err != nil {
			return nil, err
		}
		batch = append(batch, bus.Message{ID: e.ID(), At: r.at, Data: data})
	}
	return batch, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pinEvent makes an event with a new version.
func pinEvent(cid string, removed bool) events.Event {
	data := &events.PinData{Cid: cid, Version: events.VersionOf(uuid.Must(uuid.NewUUID()))}
	if removed {
		return events.Event{Source: events.Source("test"), Type: events.PinUnpinned, Pin: data}
	}
	data.Pin = &events.Pin{Name: string(data.Version), Type: "pin", Mode: "recursive", MaxDepth: -1}
	return events.Event{Source: events.Source("test"), Type: events.PinAccepted, Pin: data}
}

// replayRequest is one that a relay has promised to answer.
type replayRequest struct {
	name     string
	from, to time.Time
}

// relay tells the changes of a feed, and dies when it is told to.
type relay struct {
	bus  *bus.Bus
	feed *feed
	// epoch and position are what a relay finds in the database.
	epoch    int64
	position time.Time
	die      chan struct{}
	// requests are for replays that have not begun.
	mu       sync.Mutex
	requests []replayRequest
	// through is what the last manifest says.
	through atomic.Pointer[time.Time]
}

func newRelay(b *bus.Bus, f *feed) *relay {
	return &relay{bus: b, feed: f, position: time.Now(), die: make(chan struct{}, 1)}
}

// run is one relay after another, until ctx ends.
func (r *relay) run(ctx context.Context, t *testing.T) {
	count := 0
	stop, err := r.bus.AnswerReplays(r.feed.shard, func(from, to time.Time) (string, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, q := range r.requests { // of others, or of one who asks again
			if q.from.Equal(from) && q.to.Equal(to) {
				return q.name, nil
			}
		}
		count++
		q := replayRequest{fmt.Sprintf("%d-%d", r.feed.shard, count), from, to}
		r.requests = append(r.requests, q)
		return q.name, nil
	})
	if err != nil {
		t.Error(err)
		return
	}
	for ctx.Err() == nil {
		if err := r.live(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// live is the life of one relay.
func (r *relay) live(ctx context.Context) error {
	r.epoch++
	begin := r.position
	p := r.bus.NewPublisher(r.feed.shard, r.epoch, begin)
	next := 0
	var manifest time.Time
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.die:
			return nil
		case <-tick.C:
		}
		if err := r.replay(ctx); err != nil {
			return err
		}
		batch, end, through, err := r.feed.read(next, begin)
		if err != nil {
			return err
		}
		if !r.publish(ctx, p, batch, through) {
			continue // all of it again
		}
		next = end
		if through.After(r.position) && rand.IntN(3) == 0 { // a relay that dies now begins before that
			r.position = through
		}
		if time.Since(manifest) >= manifestEvery && p.Manifest(ctx) == nil {
			manifest = time.Now()
			r.through.Store(&through)
		}
	}
}

func (r *relay) publish(ctx context.Context, p *bus.Publisher, batch []bus.Message, through time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return p.Publish(ctx, batch, through) == nil
}

// replay tells again what somebody has asked for. A replay that cannot be published is
// given up.
func (r *relay) replay(ctx context.Context) error {
	r.mu.Lock()
	if len(r.requests) == 0 {
		r.mu.Unlock()
		return nil
	}
	q := r.requests[0]
	r.requests = r.requests[1:]
	r.mu.Unlock()
	batch, err := r.feed.replay(q.from, q.to)
	if err != nil {
		return err
	}
	out := r.bus.NewReplay(r.feed.shard, r.epoch, q.name, q.from, q.to)
	for len(batch) > 0 {
		n := min(len(batch), maxBatch)
		if out.Publish(ctx, batch[:n]) != nil {
			return nil
		}
		batch = batch[n:]
	}
	_ = out.End(ctx) // consumers ask again
	return nil
}
