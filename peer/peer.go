// Package peer puts together what an ipfs-cluster peer needs when the pinset is
// shared by all peers: the components to give to upstream's NewCluster, and the
// loops that run beside it.
//
//	peer/consensus   upstream's consensus component over a store and a feed
//	peer/membership  who is in the cluster and alive, from one table
//	peer/tracker     what this peer does with each pin, and how IPFS is brought in line
//	peer/sli         how many pins are pinned in time
//	peer/status      what all peers do with pins, for the APIs
//	peer/pinsvc      the Pinning Services API
//	peer/reconcile   repinning, expiry, hand-over and scrub
//	peer/drift       how far IPFS is from what the pinset says
//	peer/role        what takes the place of an IPFS daemon where there is none
package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/drift"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/status"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Store is the shared pinset with all that peers need beside it.
type Store interface {
	state.Store
	state.Updater
	state.Conditional
	state.OwnPins
	state.Placements
	state.HandOvers
	state.Members
	state.Expiries
	state.Scrubber
	state.Follower
	// OpenFeed opens the feed of a peer, which then no other process reads.
	OpenFeed(ctx context.Context, id peer.ID) (state.OwnFeed, error)
}

// Options say who a peer is and how it behaves. The zero value of a field that
// is not named as needed is a choice.
type Options struct {
	// Store is needed. The caller closes it, after Close.
	Store Store
	// Events takes what the peer does, and what becomes of others, nil if there are no
	// events.
	Events state.EventLog
	// ID and Instance are needed: who the peer is, and the host and folder that
	// it runs in. Two processes of one Instance MUST NOT run at once.
	ID       peer.ID
	Instance string
	// Name is shown to users, Role is role.Full unless it is given.
	Name string
	Role role.Role
	// Rejoin brings a peer back that was removed.
	Rejoin bool

	// PingInterval is the time between heartbeats, RecoverInterval that
	// between looks for work that was left undone. Both are needed.
	PingInterval, RecoverInterval time.Duration
	// Repin says whether pins of dead and removed peers are given to others,
	// nil: no. It is asked again and again.
	Repin func() bool
	// OnlyTrusted and OnlyUntrusted say to whom, Follower that this peer
	// changes nothing in the pinset by itself.
	OnlyTrusted, OnlyUntrusted, Follower bool
	// StopShare is the share of peers from which on their deaths stop moves, Zone what
	// fails together with this one: see package reconcile. StopFor is for how long a
	// death counts, an hour if it is 0.
	StopShare float64
	Zone      string
	StopFor   time.Duration
	// CheckEvery is how long a comparison of all pins of this peer with IPFS takes,
	// ScrubEvery a scrub of everything; 0 turns them off.
	CheckEvery time.Duration
	ScrubEvery time.Duration
	// DriftEvery is how often all that IPFS has pinned is compared with the pinset, to
	// measure how far it is from that; 0 never. Samples are taken between, of DriftSample
	// pins in an hour: see drift.Options.
	DriftEvery  time.Duration
	DriftSample int

	// TrustAll trusts every peer, TrustedPeers the given ones.
	TrustAll     bool
	TrustedPeers []peer.ID
	// Tracker is the configuration of the pin tracker. It is needed.
	Tracker *stateless.Config
	// CanaryEvery is the time between two canaries that this peer pins to see how long
	// that takes, at least two minutes; 0 turns them off. They need Metrics.SLI.
	CanaryEvery time.Duration
	// Waiting is told why Join still waits. It must not block. It may be nil.
	Waiting func(error)
	// Lost is called when another process runs as this peer: it MUST be
	// stopped. It must not block.
	Lost func(error)
	// Metrics say what the peer does. They may be nil.
	Metrics *Metrics
}

// Peer is what one process has of a shared pinset.
type Peer struct {
	opts    Options
	monitor *membership.Monitor
	feed    state.Feed
	pins    *tracker.Tracker // nil for a peer without an IPFS daemon
	drift   *drift.Meter     // nil if nothing is measured
	cons    *consensus.Consensus
	status  *status.Service
	// missed is set if changes of this peer may have been lost, until compared is
	// called.
	missed   bool
	compared func(context.Context) error
	// confirmations come from the tracker before the loops run that look at them.
	confirmations reconcile.Confirmations
	// holder, acceptor and canary measure the service level. They may be nil.
	holder   *sli.Holder
	acceptor *sli.Acceptor
	canary   *sli.Canary

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Join makes this process the one that runs as the peer. It waits while the
// database does not answer and while another process may still run as the peer,
// and fails if one does.
func Join(ctx context.Context, opts Options) (*Peer, error) {
	if opts.Repin == nil {
		opts.Repin = func() bool { return false }
	}
	if opts.Lost == nil {
		opts.Lost = func(error) {}
	}
	p := &Peer{opts: opts, stop: func() {}}
	var lagging func() bool
	p.feed = noFeed{}
	monitorOpts := membership.Options{
		Members: opts.Store, ID: opts.ID, Name: opts.Name, Role: string(opts.Role), Instance: opts.Instance,
		Interval: opts.PingInterval, Rejoin: opts.Rejoin, HandOver: opts.Repin, Lost: opts.Lost,
		Zone: opts.Zone, LastBeatEvery: min(opts.StopFor/12, membership.DefaultLastBeatEvery),
		Lagging: func() bool { return lagging != nil && lagging() },
		Metrics: opts.Metrics.rooms().Membership, Waiting: opts.Waiting,
	}
	if opts.Events != nil {
		monitorOpts.Tell = opts.Events.LogPeer
	}
	if opts.Follower && opts.Role != role.API {
		monitorOpts.Role = membership.RoleFollower
	}
	var err error
	if p.monitor, err = membership.Claim(ctx, monitorOpts); err != nil {
		return nil, fmt.Errorf("joining the peers: %w", err)
	}
	p.status, err = status.New(status.Options{Self: opts.ID, Store: opts.Store, View: p.monitor.View, Follower: opts.Follower})
	if err != nil {
		return nil, errors.Join(err, p.monitor.Shutdown(ctx))
	}
	if opts.Role == role.API {
		return p, nil
	}
	feed, err := opts.Store.OpenFeed(ctx, opts.ID)
	if err != nil {
		return nil, fmt.Errorf("opening the change feed: %w", err)
	}
	p.feed, p.missed, p.compared, lagging = feed, feed.Missed(), feed.Compared, feed.Lagging
	return p, nil
}

// noFeed is the feed of a peer to which nothing is allocated.
type noFeed struct{}

func (noFeed) Consume(ctx context.Context, _ state.Handler) error {
	<-ctx.Done()
	return ctx.Err()
}

// Components are for NewCluster, which starts them and ends them.
type Components struct {
	Consensus *consensus.Consensus
	Monitor   *membership.Monitor
	Tracker   Tracker
	Connector Connector
}

// Components makes the components of the peer on h. Its heartbeats begin. It
// must be called once.
func (p *Peer) Components(h host.Host, ipfs IPFS) (*Components, error) {
	opts := p.opts
	c := &Components{Monitor: p.monitor}
	handle := func(context.Context, state.Change) error { return nil }
	if opts.Role == role.API {
		connector, err := role.NewConnector(role.ConnectorOptions{ID: opts.ID, Daemons: p.daemons, Timeout: forwardTimeout})
		if err != nil {
			return nil, err
		}
		c.Connector, c.Tracker = connector, role.NewTracker(opts.ID, opts.Name, opts.Store)
	} else {
		conf := opts.Tracker
		confirmed := p.confirmations.Confirmed
		if opts.Follower {
			confirmed = nil // it ends no moves
		}
		var log func(context.Context, ...state.StatusEvent) error
		if opts.Events != nil {
			log = opts.Events.LogStatus
		}
		p.holder = p.newHolder(ipfs)
		p.pins = tracker.New(tracker.Options{
			SLI: p.holder, Metrics: opts.Metrics.rooms().Tracker,
			Self: opts.ID, Name: opts.Name, Store: opts.Store, Daemon: ipfs.Connector, Size: ipfs.Size,
			Live: p.live, Confirmed: confirmed, Log: log, Missed: p.missed, Compared: p.compared, Every: opts.RecoverInterval, CheckEvery: opts.CheckEvery, KeepContent: ipfs.KeepContent,
			Config: tracker.Config{
				MaxPinQueueSize: conf.MaxPinQueueSize, ConcurrentPins: conf.ConcurrentPins,
				PriorityPinMaxAge: conf.PriorityPinMaxAge, PriorityPinMaxRetries: conf.PriorityPinMaxRetries,
			},
		})
		c.Connector, c.Tracker, handle = ipfs.Connector, p.pins, p.pins.Act
		if ipfs.Pins != nil {
			p.drift = drift.New(drift.Options{
				Self: opts.ID, Store: opts.Store, Kubo: ipfs.Pins, AtWork: p.pins.AtWork, KeepContent: ipfs.KeepContent,
				Grace: drift.DefaultGrace, Every: opts.DriftEvery, Sample: opts.DriftSample, Metrics: opts.Metrics.rooms().Drift,
			})
		}
	}
	consOpts := consensus.Options{
		Store: opts.Store, Updater: opts.Store, Feed: p.feed, Handle: handle, Members: p.monitor,
		TrustAll: opts.TrustAll, TrustedPeers: opts.TrustedPeers, Lost: opts.Lost,
	}
	if p.acceptor = p.newAcceptor(); p.acceptor != nil {
		consOpts.Accepted = p.acceptor.Accepted
	}
	p.cons = consensus.New(h, consOpts)
	c.Consensus = p.cons
	p.canary = p.newCanary(c.Connector)
	p.monitor.Start(h.Addrs)
	return c, nil
}

// Seen returns nil while the others see that this peer lives: its last heartbeat was written
// in time. It answers from memory.
func (p *Peer) Seen() error {
	at, ttl := p.monitor.Beaten()
	switch age := time.Since(at); {
	case at.IsZero():
		return errors.New("heartbeats have not begun yet")
	case age > ttl:
		return fmt.Errorf("no heartbeat was written for %s, and one counts for %s: the other peers take this one for dead", age.Round(time.Millisecond), ttl)
	}
	return nil
}

// live tells whether a peer is alive and was not removed.
func (p *Peer) live(id peer.ID) bool {
	member, ok := p.monitor.View().Get(id)
	return ok && member.Live && !member.Removed
}

// forwardTimeout is how long another peer's IPFS daemon may take for one block.
const forwardTimeout = time.Minute

// daemons are the live peers with an IPFS daemon, in random order.
func (p *Peer) daemons() []peer.ID {
	view := p.monitor.View()
	ids := slices.DeleteFunc(view.Live(), func(id peer.ID) bool {
		member, _ := view.Get(id)
		return member.Role == string(role.API)
	})
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// Start starts what the peer does for itself and for the others. It is called
// when NewCluster has returned: from then on the addresses of the other peers go
// to the peerstore of h. The loops end with Close.
func (p *Peer) Start(h host.Host, allocator reconcile.Allocator) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.monitor.Connect(h)
	p.running.Go(func() { p.acceptor.Run(ctx) })
	if p.opts.Role == role.API {
		return
	}
	p.running.Go(func() { p.pins.Run(ctx) })
	p.running.Go(func() { p.holder.Run(ctx) })
	if p.canary != nil {
		p.running.Go(func() { p.canary.Run(ctx) })
	}
	if p.drift != nil && p.opts.DriftEvery > 0 {
		p.running.Go(func() { p.drift.Run(ctx) })
	}
	loops := p.newLoops(allocator)
	p.running.Go(func() { loops.Run(ctx) })
}

func (p *Peer) newLoops(allocator reconcile.Allocator) *reconcile.Reconciler {
	opts := p.opts
	return reconcile.New(reconcile.Options{
		Self: opts.ID, Store: opts.Store, View: p.monitor.View, Metrics: p.monitor.LatestMetrics,
		Allocator: allocator, Trusted: p.cons.IsTrustedPeer,
		OnlyTrusted: opts.OnlyTrusted, OnlyUntrusted: opts.OnlyUntrusted, Follower: opts.Follower,
		Repin: opts.Repin, ScrubEvery: opts.ScrubEvery, Finish: p.monitor.Finish,
		StopShare: opts.StopShare, StopFor: opts.StopFor, Confirmations: &p.confirmations,
		RecheckInterval: min(2*opts.PingInterval, reconcile.DefaultRecheckInterval),
		Settle:          2 * membership.TTL(opts.PingInterval),
		Counts:          opts.Metrics.rooms().Reconcile,
	})
}

// Close ends what Join, Components and Start began. The cluster must have ended.
func (p *Peer) Close() error {
	p.stop()
	p.running.Wait()
	err := p.monitor.Shutdown(context.Background())
	if p.cons != nil {
		err = errors.Join(err, p.cons.Shutdown(context.Background()))
	}
	return err
}
