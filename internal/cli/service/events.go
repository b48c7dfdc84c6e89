package service

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/wake"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// eventsClosing is how long the connection to NATS, and a server in this process, may
// take to end.
const eventsClosing = 5 * time.Second

// busConfig is how this peer, or a command, connects to NATS: with an embedded server to that
// at the address of the configuration.
func (cfg *peerConfig) busConfig() bus.Config {
	out := cfg.events.BusConfig(cfg.scylla.ClusterName, cfg.Configs().Cluster.Peername)
	if cfg.events.Embedded.Enabled {
		out.URLs = []string{"nats://" + cfg.events.Embedded.Listen}
	}
	return out
}

// connectEvents starts the NATS server of this process, if there is to be one, and connects
// to NATS, which need not be there yet.
func (p *clusterPeer) connectEvents(ctx context.Context) error {
	if p.cfg.events == nil {
		return nil
	}
	conf := p.cfg.busConfig()
	if p.cfg.events.Embedded.Enabled {
		server, err := embedded.Start(ctx, p.cfg.events.EmbeddedConfig(p.folder))
		if err != nil {
			return fmt.Errorf("starting the NATS server of this peer: %w", err)
		}
		p.closeLater(closeIn(server.Close))
		conf.URLs = []string{server.URL()}
	}
	conf.Metrics = p.counts.bus
	b, err := bus.Connect(conf)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	p.closeLater(closeIn(b.Close))
	p.bus = b
	return nil
}

// startEvents lets the keyspace have events if this peer is to have them. Nothing that refuses
// a start comes after it: they are of all peers, and for good.
func (p *clusterPeer) startEvents(ctx context.Context, store *scyllastate.Store) error {
	if p.cfg.events == nil {
		if since := store.EventsSince(); !since.IsZero() {
			logger.Warnf("the keyspace %s has events since %s: this process writes theirs, although it is not configured to have any",
				p.cfg.scylla.Keyspace, since.UTC().Format(time.RFC3339))
		}
		return nil
	}
	if err := p.cfg.events.CheckPeers(p.shared.Others() + 1); err != nil { // one that starts just now
		return err
	}
	return store.StartEvents(ctx)
}

// checkAlone refuses a NATS server in the process of a peer that has others, before the peer
// becomes one of them.
func (p *clusterPeer) checkAlone(ctx context.Context, store *scyllastate.Store) error {
	if p.cfg.events == nil {
		return nil
	}
	members, err := store.ListMembers(ctx)
	if err != nil {
		return fmt.Errorf("events: counting the peers: %w", err)
	}
	peers := 1
	for _, m := range members {
		if m.ID != p.cfg.Identity().ID && m.Removed.IsZero() {
			peers++
		}
	}
	return p.cfg.events.CheckPeers(peers)
}

// closeIn gives what is closed its time.
func closeIn(end func(context.Context) error) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), eventsClosing)
		defer cancel()
		return end(ctx)
	}
}

// runEvents tells the events of the pinset and carries wake-ups, until the peer is closed.
func (p *clusterPeer) runEvents(store *scyllastate.Store) error {
	if p.bus == nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	p.closeLater(func() error {
		stop()
		running.Wait()
		return nil
	})
	id := p.cfg.Identity().ID
	waker := wake.New(p.bus, store)
	var feeds []string
	if p.role != role.API { // it reads none
		feeds = store.Feeds(id)
	}
	running.Go(func() {
		if err := waker.Run(ctx, feeds...); err != nil && ctx.Err() == nil {
			logger.Errorf("feeds are not woken: %s", err)
		}
	})
	if p.role == role.API {
		return nil
	}
	teller, err := relay.New(relay.Options{
		Events: store, Bus: p.bus, Cluster: p.cfg.scylla.ClusterName,
		Holder: id.String() + " " + uuid.NewString(), Metrics: p.counts.relay,
		Mine: func(shard int) (bool, int) { return p.shared.Mine(state.EventFeedName(shard)) },
		Listen: func(shard int) func() {
			stop, err := waker.Listen(state.EventFeedName(shard))
			if err != nil {
				logger.Debugf("the feed of events %d is looked at by time only: %s", shard, err)
				return func() {}
			}
			return stop
		},
	})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	running.Go(func() { teller.Run(ctx) })
	return nil
}
