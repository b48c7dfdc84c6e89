package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("membership")

const (
	// pingMetric is upstream's name for the metric that every peer sends.
	pingMetric = "ping"
	// minTTL is the shortest time that a heartbeat counts: the database
	// expires rows by whole seconds.
	minTTL = time.Second
	// alertsKept is how many alerts wait for a reader.
	alertsKept = 256
)

// Options are what a Monitor works with.
type Options struct {
	// Members is the table of peers.
	Members state.Members
	// ID is the identity of this peer, and Name and Role what others see of
	// it. No role is RoleFull.
	ID         peer.ID
	Name, Role string
	// Instance is the host and the folder that this process runs in. A process
	// takes over at once from an earlier one of the same Instance.
	Instance string
	// Interval is the time between heartbeats. One counts for two Intervals,
	// at least a second. The table is read twice in each Interval.
	Interval time.Duration
	// Zone names what fails together with this peer, such as a rack. It may be empty.
	Zone string
	// LastBeatEvery is how often it is noted without end that this peer runs,
	// DefaultLastBeatEvery if it is 0.
	LastBeatEvery time.Duration
	// Rejoin brings a peer back that was removed or told to leave.
	Rejoin bool
	// HandOver says that this peer gives pins of dead and removed ones to others: a
	// live one that it removes hands its own over first, and it counts as one that
	// can act on a death. It must not block. It may be nil: false.
	HandOver func() bool
	// Lagging says that this peer should get no new pins: it then sends its
	// ping only. It may be nil: false.
	Lagging func() bool
	// Lost is called once, when another process took this identity: this one
	// MUST stop. It must not block, and not wait for Shutdown. It may be nil.
	//
	// It is not called when this peer was removed: Peers is without it then,
	// which makes upstream shut the peer down.
	Lost func(error)
	// Tell is that of state.EventLog, nil if nobody is told what becomes of peers.
	Tell func(context.Context, state.PeerEvent) error
	// Waiting is told why Claim still waits. It must not block. It may be nil.
	Waiting func(error)
	// Metrics say what the Monitor knows and does. They may be nil.
	Metrics *Metrics
}

// Monitor is what one peer knows of all, and its own heartbeat. It implements
// upstream's PeerMonitor component. It is safe for concurrent use.
type Monitor struct {
	opts        Options
	ttl         time.Duration
	incarnation state.Incarnation

	alerts chan api.Alert
	kick   chan struct{} // has a value when a heartbeat is wanted soon
	// reads and writes order the reads of the table, and what this process
	// writes of identities.
	reads, writes semaphore
	lost          sync.Once

	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
	start  sync.Once

	mu     sync.RWMutex
	closed bool
	sight  sight
	clock  clusterClock
	// beaten is when the last heartbeat was written, or when they begin.
	beaten  time.Time
	members map[peer.ID]*member
	peers   []Peer // of the last View; never changed, only replaced
	// superseded says that another process has this identity, removed that
	// the last read said so of this peer.
	superseded, removed bool
	own                 map[string]*ownMetric
	logged              map[metricKey]api.Metric
	host                host.Host
}

// newMonitor makes a Monitor with a new incarnation.
func newMonitor(opts Options) (*Monitor, error) {
	if opts.Role == "" {
		opts.Role = RoleFull
	}
	if opts.Waiting == nil {
		opts.Waiting = func(error) {}
	}
	if opts.LastBeatEvery <= 0 {
		opts.LastBeatEvery = DefaultLastBeatEvery
	}
	switch {
	case opts.Members == nil || opts.ID == "":
		return nil, errors.New("membership: the table of peers and an identity are needed")
	case opts.Interval <= 0:
		return nil, fmt.Errorf("membership: the interval between heartbeats must be positive, not %s", opts.Interval)
	case !slices.Contains([]string{RoleFull, RoleAPI, RoleWorker, RoleFollower}, opts.Role):
		return nil, fmt.Errorf("membership: role %q is none of %q, %q, %q, %q", opts.Role, RoleFull, RoleAPI, RoleWorker, RoleFollower)
	}
	incarnation, err := newIncarnation()
	if err != nil {
		return nil, err
	}
	ttl := TTL(opts.Interval)
	ctx, cancel := context.WithCancel(context.Background())
	return &Monitor{
		opts: opts, ttl: ttl, incarnation: incarnation,
		alerts: make(chan api.Alert, alertsKept),
		kick:   make(chan struct{}, 1),
		reads:  newSemaphore(), writes: newSemaphore(),
		ctx: ctx, cancel: cancel,
		sight:   sight{ttl: ttl},
		members: make(map[peer.ID]*member),
		own:     make(map[string]*ownMetric),
		logged:  make(map[metricKey]api.Metric),
	}, nil
}

func newIncarnation() (state.Incarnation, error) {
	var i state.Incarnation
	if _, err := rand.Read(i[:]); err != nil {
		return i, fmt.Errorf("choosing an incarnation: %w", err)
	}
	// A UUID of version 4, which is what the table holds.
	i[6] = i[6]&0x0f | 0x40
	i[8] = i[8]&0x3f | 0x80
	return i, nil
}

// Start begins to send heartbeats and to read those of others, until Shutdown.
// Addresses returns where this peer listens; it is called again and again, and
// others learn of changes. It may be nil. Only the first call counts.
func (m *Monitor) Start(addresses func() []ma.Multiaddr) {
	m.start.Do(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.closed {
			return
		}
		m.beaten = time.Now()
		m.loops.Go(m.sendHeartbeats)
		m.loops.Go(m.readMembers)
		m.loops.Go(m.keepLastBeat)
		if m.opts.Tell != nil {
			m.loops.Go(m.tellPeers)
		}
		if addresses != nil {
			m.loops.Go(func() { m.keepAddresses(addresses) })
		}
	})
}

// SetClient is part of upstream's interface. A Monitor needs no other component.
func (m *Monitor) SetClient(*rpc.Client) {}

// Shutdown ends what Start began and waits for it. Others notice that this peer
// stopped when its last heartbeat runs out. It may be called again.
func (m *Monitor) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.loops.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the heartbeats to end: %w", context.Cause(ctx))
	}
}

// View returns what is known now, from memory.
func (m *Monitor) View() View {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := time.Now()
	return View{Self: m.opts.ID, Frozen: m.sight.frozen(now), Peers: m.peers, Judged: m.sight.judgedBy(now)}
}

// Peers returns the live peers that were not removed, and always this one, in
// order. This one is missing only when the last read said that it was removed.
// It answers from memory, and with an error before the first read succeeded.
func (m *Monitor) Peers(context.Context) ([]peer.ID, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.sight.never() {
		return nil, errors.New("the peers are not known yet: the database was not read")
	}
	var ids []peer.ID
	if !m.removed {
		ids = append(ids, m.opts.ID)
	}
	for _, p := range m.peers {
		if p.ID != m.opts.ID && p.Live && !p.Removed {
			ids = append(ids, p.ID)
		}
	}
	slices.SortFunc(ids, compareIDs)
	return ids, nil
}

// Beaten returns when the last heartbeat was written, or when they began, the zero time before
// that, and for how long one counts. It answers from memory.
func (m *Monitor) Beaten() (at time.Time, ttl time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.beaten, m.ttl
}

// CanHold is false for a peer that is known to have no IPFS daemon.
func (m *Monitor) CanHold(p peer.ID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	member, ok := m.members[p]
	return !ok || member.row.Role != RoleAPI
}

// Alerts returns the channel that gets one alert, named "heartbeat", for each
// live peer that dies. It is never closed. Alerts that nobody reads are dropped.
func (m *Monitor) Alerts() <-chan api.Alert { return m.alerts }

// TTL is how long a heartbeat counts that is sent every interval.
func TTL(interval time.Duration) time.Duration { return max(2*interval, minTTL) }

// patience is how long one read or heartbeat may take: short enough that another
// one is in time.
func (m *Monitor) patience() time.Duration { return max(m.opts.Interval, minTTL) / 2 }

// semaphore is a mutex that one can stop to wait for.
type semaphore chan struct{}

func newSemaphore() semaphore { return make(semaphore, 1) }

func (s semaphore) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s semaphore) release() { <-s }

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
