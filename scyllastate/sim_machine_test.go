package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// machine runs one process after another: a new one when the last has crashed.
type machine struct {
	w    *world
	name string
	run  func(*process)

	// When it is stopped, cut off from the database, has a clock that is
	// wrong by off, and when its IPFS daemon does not work.
	stops, outages, wrong, ipfsDown []span
	off                             time.Duration

	current *process
	crashes int
}

// span is a time after the start of the world.
type span struct{ from, to time.Duration }

func newMachine(w *world, name string, run func(*process)) *machine {
	d := w.draw(0, "machine", name)
	m := &machine{w: w, name: name, run: run}
	spans := func(permille int, longest time.Duration) (out []span) {
		for w.slow == nil && d.chance(permille) && len(out) < 3 {
			from := d.between(0, w.length)
			out = append(out, span{from, min(from+d.mostly(100*time.Millisecond, longest), w.length)})
		}
		return out
	}
	m.stops = spans(350, 40*time.Second)
	m.outages = spans(300, 20*time.Second)
	m.wrong = spans(150, 20*time.Second)
	m.ipfsDown = spans(400, 30*time.Second)
	m.off = d.between(time.Second, 20*time.Second)
	if d.chance(500) {
		m.off = -m.off
	}
	return m
}

// plan crashes the machine now and then.
func (m *machine) plan() {
	d := m.w.draw(0, "crashes", m.name)
	for m.w.odds.crash > 0 && d.chance(450) {
		time.AfterFunc(d.between(0, m.w.length), func() {
			m.w.mu.Lock()
			p := m.current
			m.w.mu.Unlock()
			p.crash()
		})
	}
}

func (m *machine) since() time.Duration { return time.Since(m.w.start) }

func (m *machine) at(spans []span) bool {
	now := m.since()
	for _, s := range spans {
		if now >= s.from && now < s.to {
			return true
		}
	}
	return false
}

// stoppedUntil is how long the machine stays stopped, 0 when it runs.
func (m *machine) stoppedUntil() (left time.Duration) {
	now := m.since()
	for _, s := range m.stops {
		if now >= s.from && now < s.to {
			left = max(left, s.to-now)
		}
	}
	return left
}

// process is one run of a program, with a Store of its own.
type process struct {
	world   *world
	machine *machine
	name    string
	ctx     context.Context
	cancel  context.CancelFunc
	dead    atomic.Bool
	store   *Store
	skew    time.Duration
	// took says where it has begun to read each feed that it has a cursor of, and when.
	took map[string]simTook
	// seen are the changes that it has read, and when it did first.
	seen map[gocql.UUID]time.Time
	// began is when a write did, by its revision.
	began map[gocql.UUID]time.Time
	// appends counts how often a batch was sent, by the revision of its first row.
	appends map[gocql.UUID]int
	// requests counts them; the lock is the world's.
	requests map[requestKey]int
}

// start begins a new process.
func (m *machine) start() {
	w := m.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	p := &process{world: w, machine: m, name: fmt.Sprint(m.name, ".", m.crashes),
		requests: make(map[requestKey]int), took: make(map[string]simTook), seen: make(map[gocql.UUID]time.Time), appends: make(map[gocql.UUID]int), began: make(map[gocql.UUID]time.Time)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	d := w.draw(m.crashes, "process", m.name)
	furthest := w.lim.clockSkew + scylla.SkewError
	if m.crashes == 0 {
		furthest -= 2 * scylla.SkewError // it counts as right from the start
	}
	p.skew = d.between(-furthest, furthest)
	p.store = p.newStore()
	m.current = p
	w.note("%s starts, its clock is off by %s", p.name, p.skew)
	go func() {
		for p.store.clock.measure(p.ctx) != nil {
			if p.wait(p.ctx, time.Second) != nil {
				return
			}
		}
		go p.store.clock.watch(p.ctx)
		m.run(p)
	}()
}

func (p *process) newStore() *Store {
	w := p.world
	began := time.Now()
	right := w.lim.clockSkew - scylla.SkewError
	off := func() time.Duration {
		if time.Now().After(w.calm) {
			return max(-right, min(p.skew, right)) // somebody has repaired it
		}
		if p.machine.at(p.machine.wrong) {
			return p.skew + p.machine.off
		}
		return p.skew
	}
	s := &Store{
		db:     new(scylla.DB), // is told of an outage, and asked for nothing
		tables: simTables{p},
		conf:   Config{RequestTimeout: w.requestTimeout, UnpinGrace: w.grace},
		lim:    w.lim,
		now:    func() time.Time { return time.Now().Add(off()) },
		random: func(d time.Duration) time.Duration {
			return w.draw(int(d), "pause", p.name, time.Now().String()).between(0, d)
		},
		read:   gocql.Quorum,
		goLive: func(context.Context) error { return nil },
		at:     p.reached,
	}
	newHints(&s.absent)
	var err error
	if s.deadlines, err = newDeadlines(w.lim); err != nil {
		panic(err)
	}
	s.clock = &clock{
		bound: w.lim.clockSkew,
		ask: func(ctx context.Context) (skew scylla.Skew, err error) {
			err = p.ask(ctx, "clock", "clock", func(_ *world, d *draw) {
				skew.Ahead = off() + d.between(-scylla.SkewError, scylla.SkewError)
			})
			return skew, err
		},
		wall:    func() time.Time { return s.now().Round(0) },
		steady:  func() time.Duration { return time.Since(began) },
		suspect: make(chan struct{}, 1),
	}
	if w.relay != nil {
		s.eventsSince = w.start
	}
	s.intents = newAppender(s)
	return s
}

// newHints makes the cache of the CIDs that were not found.
func newHints[V any](to **lru.Cache[string, V]) {
	cache, err := lru.New[string, V](maxHints)
	if err != nil {
		panic(err)
	}
	*to = cache
}

func (p *process) crashed() bool { return p.dead.Load() }

// crash ends the process: what it has sent may still arrive. The machine starts
// another one.
func (p *process) crash() {
	w, m := p.world, p.machine
	w.mu.Lock()
	if p.dead.Swap(true) || w.over {
		w.mu.Unlock()
		return
	}
	w.note("%s crashes", p.name)
	d := w.draw(m.crashes, "down", m.name)
	m.crashes++
	w.mu.Unlock()
	p.cancel()
	down := d.mostly(100*time.Millisecond, 25*time.Second)
	time.AfterFunc(min(down, max(time.Until(w.calm), time.Millisecond)), m.start)
}

// reached is called at the named points of a write: there it may be stopped for
// long, or its process may crash.
func (p *process) reached(at point, wr *write) {
	w := p.world
	if at == beforeIntents {
		w.mu.Lock()
		p.began[wr.rev] = time.Now()
		w.mu.Unlock()
	}
	d, _, err := p.send(p.ctx, "at "+string(at), label(wr.cid)+" "+stamp(wr.rev))
	if err != nil || !w.faulty() {
		return
	}
	stall := w.odds.stall
	if at != beforeCAS {
		stall /= 3
	}
	switch {
	case d.chance(w.odds.crash):
		p.crash()
	case d.chance(stall):
		time.Sleep(min(d.mostly(100*time.Millisecond, 45*time.Second), time.Until(w.calm)))
		p.gate(d)
	}
}

var errSimulated = errors.New("simulated failure")
