package role

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/ipfs-cluster/ipfs-cluster/adder/sharding"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
)

// maxClusterDAG bounds what BlockStream keeps in memory. A block of a cluster DAG
// is about 300 KB at most and lists 5984 shards.
const maxClusterDAG = 32 << 20

// cborMap is the major type of a map, in the upper three bits of its first byte.
const cborMap = 5

// BlockStream puts the blocks of a cluster DAG at a peer with a daemon, and
// refuses all others.
//
// Upstream's adder sends blocks to the peer that it runs at in two cases. The
// cluster DAG of a sharded add, which every peer will hold, may be put
// anywhere. Other blocks come from an add with local=true: it puts content at
// this peer only and allocates the pin to it. The call is the same in both cases,
// so the blocks themselves must tell.
func (c *Connector) BlockStream(ctx context.Context, blocks <-chan api.NodeWithMeta) error {
	if err := c.fromHere(ctx); err != nil {
		return fmt.Errorf("putting blocks: %w", err)
	}
	// They are kept, so that another peer can be tried.
	dag, err := c.readClusterDAG(ctx, blocks)
	if err != nil {
		return fmt.Errorf("putting blocks: %w", err)
	}
	_, err = forward(ctx, c, "putting the blocks of a cluster DAG", func(ctx context.Context, client *rpc.Client, p peer.ID) (struct{}, error) {
		return struct{}{}, putBlocks(ctx, client, p, dag)
	})
	return err
}

// readClusterDAG reads all blocks, and stops at the first that is not of a
// cluster DAG. The RPC client drains what remains.
func (c *Connector) readClusterDAG(ctx context.Context, blocks <-chan api.NodeWithMeta) ([]api.NodeWithMeta, error) {
	var dag []api.NodeWithMeta
	size := 0
	for {
		select {
		case b, ok := <-blocks:
			switch {
			case !ok && dag == nil:
				return nil, errors.New("there are none")
			case !ok:
				return dag, nil
			case !isClusterDAG(b):
				return nil, refusal(c.opts.ID, "add without local=true, or at another peer")
			}
			if size += len(b.Data); size > maxClusterDAG {
				return nil, fmt.Errorf("the cluster DAG is larger than %d bytes", maxClusterDAG)
			}
			dag = append(dag, b)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// isClusterDAG reports whether a block is what upstream's sharding makes: CBOR
// that maps "0", "1" and so on to links.
func isClusterDAG(b api.NodeWithMeta) bool {
	// Content is not decoded to find out.
	if b.Cid.Prefix().Codec != cid.DagCBOR {
		return false
	}
	node, err := sharding.CborDataToNode(b.Data, "cbor")
	if err != nil || !node.Cid().Equals(b.Cid.Cid) || b.Data[0]>>5 != cborMap {
		return false
	}
	links := len(node.Links())
	for _, name := range node.Tree("", -1) {
		// What is below another value has a name that is no number. With as
		// many links as numbers each of them is a link.
		if i, err := strconv.Atoi(name); err != nil || i < 0 || i >= links || strconv.Itoa(i) != name {
			return false
		}
	}
	return links > 0
}

// putBlocks streams blocks to the daemon of a peer and waits until it has them.
func putBlocks(ctx context.Context, client *rpc.Client, p peer.ID, blocks []api.NodeWithMeta) error {
	in, out := make(chan api.NodeWithMeta, len(blocks)), make(chan struct{})
	for _, b := range blocks {
		in <- b
	}
	close(in)
	go func() {
		for range out { // nothing is sent; it is closed at the end
			continue
		}
	}()
	return client.Stream(ctx, p, "IPFSConnector", "BlockStream", in, out)
}
