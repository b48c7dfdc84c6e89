package peer

import (
	"context"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// newAcceptor makes what counts for holders that are dead.
func (p *Peer) newAcceptor() *sli.Acceptor {
	return sli.NewAcceptor(sli.AcceptorOptions{
		Metrics: p.opts.Metrics.rooms().SLI, Store: p.opts.Store, View: p.monitor.View, TTL: membership.TTL(p.opts.PingInterval),
	})
}

// newHolder makes what counts for this peer.
func (p *Peer) newHolder(ipfs IPFS) *sli.Holder {
	opts := sli.HolderOptions{Metrics: p.opts.Metrics.rooms().SLI, Missed: p.missed}
	opts.Row = func(ctx context.Context, c api.Cid) (state.Placement, bool, error) {
		return p.opts.Store.GetPlacement(ctx, p.opts.ID, c)
	}
	if ipfs.Size != nil { // which looks at the root, in the blocks that IPFS has
		opts.Lacks = func(ctx context.Context, c api.Cid) bool {
			_, err := ipfs.Size(ctx, c)
			return ctx.Err() == nil && sli.Unprovided(err)
		}
	}
	return sli.NewHolder(opts)
}

// newCanary makes what pins canaries, nil if there are none.
func (p *Peer) newCanary(connector Connector) *sli.Canary {
	opts := p.opts
	if opts.CanaryEvery <= 0 || opts.Metrics.rooms().SLI == nil || opts.Follower || opts.Role == role.API {
		return nil
	}
	return sli.NewCanary(sli.CanaryOptions{
		Metrics: opts.Metrics.rooms().SLI, Self: opts.ID, Every: opts.CanaryEvery, Store: opts.Store, Holders: p.canaryHolders,
		Pin: p.cons.LogPin, Unpin: p.cons.LogUnpin,
		Add: func(ctx context.Context, block api.NodeWithMeta) error {
			blocks := make(chan api.NodeWithMeta, 1)
			blocks <- block
			close(blocks)
			return connector.BlockStream(ctx, blocks)
		},
	})
}

// canaryHolders are this peer and another live one, chosen at random, which must get the content from it.
func (p *Peer) canaryHolders() []peer.ID {
	others := slices.DeleteFunc(p.daemons(), func(id peer.ID) bool { return id == p.opts.ID })
	if len(others) == 0 {
		return []peer.ID{p.opts.ID}
	}
	return []peer.ID{p.opts.ID, others[0]}
}
