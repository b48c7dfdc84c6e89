package role_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/adder"
	"github.com/ipfs-cluster/ipfs-cluster/adder/sharding"
	"github.com/ipfs-cluster/ipfs-cluster/adder/single"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

// encode encodes text, links, lists and maps as CBOR.
func encode(object any) []byte {
	head := func(major byte, n int) []byte { return []byte{major<<5 | 25, byte(n >> 8), byte(n)} }
	switch o := object.(type) {
	case string:
		return append(head(3, len(o)), o...)
	case cid.Cid:
		link := append([]byte{0}, o.Bytes()...)
		return slices.Concat([]byte{6<<5 | 24, 42}, head(2, len(link)), link)
	case []any:
		out := head(4, len(o))
		for _, item := range o {
			out = append(out, encode(item)...)
		}
		return out
	case map[string]any:
		out := head(5, len(o))
		for _, key := range slices.Sorted(maps.Keys(o)) {
			out = slices.Concat(out, encode(key), encode(o[key]))
		}
		return out
	default:
		panic(fmt.Sprintf("%T", o))
	}
}

// block makes a block with the right CID.
func block(codec uint64, data []byte) api.NodeWithMeta {
	hash, err := multihash.Sum(data, multihash.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return api.NodeWithMeta{Cid: api.NewCid(cid.NewCidV1(codec, hash)), Data: data}
}

// node makes a block of any CBOR.
func node(object any) api.NodeWithMeta { return block(cid.DagCBOR, encode(object)) }

// clusterDAG makes blocks like those of a sharded add.
func clusterDAG(n int) []api.NodeWithMeta {
	var out []api.NodeWithMeta
	for i := range n {
		shards := make(map[string]any)
		for j := range 12 {
			shards[fmt.Sprint(j)] = cidOf(fmt.Sprint("shard", i, j)).Cid
		}
		out = append(out, node(shards))
	}
	return out
}

// stream sends blocks to a peer's own connector, as upstream's adder does.
func stream(ctx context.Context, p apiPeer, blocks []api.NodeWithMeta) error {
	return sendBlocks(ctx, p.client, "", blocks)
}

// streamTo sends blocks from one peer to another.
func streamTo(ctx context.Context, from host.Host, to peer.ID, blocks []api.NodeWithMeta) error {
	return sendBlocks(ctx, rpc.NewClient(from, protocol), to, blocks)
}

func sendBlocks(ctx context.Context, client *rpc.Client, to peer.ID, blocks []api.NodeWithMeta) error {
	in, out := make(chan api.NodeWithMeta, len(blocks)), make(chan struct{})
	for _, b := range blocks {
		in <- b
	}
	close(in)
	go func() {
		for range out {
			continue
		}
	}()
	return client.Stream(ctx, to, "IPFSConnector", "BlockStream", in, out)
}

func cids(blocks []api.NodeWithMeta) []api.Cid {
	var out []api.Cid
	for _, b := range blocks {
		out = append(out, b.Cid)
	}
	return out
}

// TestClusterDAG: another peer gets all blocks when the first one fails.
func TestClusterDAG(t *testing.T) {
	a, b := newFull(t), newFull(t)
	a.err = errors.New("the daemon is down")
	p := newAPIPeer(t, a, b)
	dag := clusterDAG(3)
	if err := stream(t.Context(), p, dag); err != nil {
		t.Fatal(err)
	}
	if got := b.got(); a.called() != 1 || !slices.Equal(got, cids(dag)) {
		t.Errorf("b got %v", got)
	}
	if err := stream(t.Context(), p, nil); err == nil {
		t.Error("a stream without blocks is taken")
	}
	b.err = a.err
	if err := stream(t.Context(), p, dag); err == nil || errors.Is(err, role.ErrNoDaemon) || !strings.Contains(err.Error(), "daemon is down") {
		t.Errorf("BlockStream = %v", err)
	}
	if err := stream(t.Context(), newAPIPeer(t), dag); !errors.Is(err, role.ErrNoDaemon) {
		t.Errorf("BlockStream = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.BlockStream(ctx, make(chan api.NodeWithMeta)); !errors.Is(err, context.Canceled) {
		t.Errorf("BlockStream for a caller that has left = %v", err)
	}
}

// TestOtherBlocks: whatever is no cluster DAG is refused, and nothing of the
// stream is sent on.
func TestOtherBlocks(t *testing.T) {
	link, second := cidOf("link").Cid, cidOf("second").Cid
	good := clusterDAG(1)[0]
	wrongCid, wrongCodec, noData, undefined := good, good, good, good
	wrongCid.Cid = node(map[string]any{"0": link}).Cid
	wrongCodec.Cid = api.NewCid(cid.NewCidV1(cid.DagProtobuf, good.Cid.Hash()))
	noData.Data = nil
	undefined.Cid = api.CidUndef
	raw := block(cid.Raw, []byte("text"))
	for name, sent := range map[string][]api.NodeWithMeta{
		"raw":           {raw},
		"wrong CID":     {wrongCid},
		"wrong codec":   {wrongCodec},
		"no data":       {noData},
		"undefined CID": {undefined},
		"empty map":     {node(map[string]any{})},
		"text":          {node("text")},
		"other key":     {node(map[string]any{"0": link, "b": second})},
		"gap":           {node(map[string]any{"0": link, "2": second})},
		"negative":      {node(map[string]any{"-1": link, "0": second})},
		"zeroes":        {node(map[string]any{"0": link, "01": second})},
		"list":          {node([]any{link, second})},
		"nested":        {node(map[string]any{"0": map[string]any{"0": link, "1": second}})},
		"list in it":    {node(map[string]any{"0": "text", "1": []any{link, second}})},
		"more than it":  {node(map[string]any{"0": link, "1": "text"})},
		"second block":  {good, raw},
	} {
		t.Run(name, func(t *testing.T) {
			a := newFull(t)
			p := newAPIPeer(t, a)
			err := stream(t.Context(), p, sent)
			want := "peer " + p.host.ID().String() + " has the role api and no IPFS daemon: add without local=true, or at another peer"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("BlockStream = %v", err)
			}
			if a.called() != 0 {
				t.Errorf("the other peer was sent %v", a.got())
			}
		})
	}
}

// TestLargeClusterDAG: what a peer keeps in memory is bounded.
func TestLargeClusterDAG(t *testing.T) {
	// A link that is its own content is long, and quick to decode.
	hash, err := multihash.Sum(make([]byte, 60<<10), multihash.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	large := node(map[string]any{"0": cid.NewCidV1(cid.Raw, hash)})
	in, ctx := make(chan api.NodeWithMeta), t.Context()
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan int)
	go func() {
		n := 0
		defer func() { sent <- n }()
		for {
			select {
			case in <- large:
				n++
			case <-ctx.Done():
				return
			}
		}
	}()
	a := newFull(t)
	err = newAPIPeer(t, a).BlockStream(ctx, in)
	cancel()
	n := <-sent
	if size := n * len(large.Data); err == nil || !strings.Contains(err.Error(), "larger") || size < 32<<20 || size > 33<<20 {
		t.Errorf("BlockStream after %d bytes: %v", size, err)
	}
	if a.called() != 0 {
		t.Error("a part of it is sent on")
	}
}

// Cluster is what upstream's adders ask of a peer.
type Cluster struct {
	mu    sync.Mutex
	dests []peer.ID
	pins  []api.Pin
}

func (c *Cluster) BlockAllocate(_ context.Context, _ api.Pin, out *[]peer.ID) error {
	*out = c.dests
	return nil
}

func (c *Cluster) Pin(_ context.Context, in api.Pin, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*out, c.pins = in, append(c.pins, in)
	return nil
}

// add uploads a file of 1 MiB.
func add(t *testing.T, dags adder.ClusterDAGService, params api.AddParams) (api.Cid, error) {
	t.Helper()
	content := make([]byte, 1<<20)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("file", "file")
	if err == nil {
		_, _ = rand.Read(content) // never fails
		_, err = part.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	root, err := adder.New(dags, params, nil).FromMultipart(t.Context(), multipart.NewReader(&body, w.Boundary()))
	if err := dags.Close(); err != nil {
		t.Error(err)
	}
	return root, err
}

// TestAdd runs upstream's adders at an API peer.
func TestAdd(t *testing.T) {
	for name, tt := range map[string]struct {
		shard, local bool
		refused      bool
		pins         int
	}{
		"single":        {pins: 1},
		"single local":  {local: true, refused: true},
		"sharded":       {shard: true, pins: 6},
		"sharded local": {shard: true, local: true, pins: 6}, // sharding takes no notice of it
	} {
		t.Run(name, func(t *testing.T) {
			a := newFull(t)
			p := newAPIPeer(t, a)
			cluster := &Cluster{dests: []peer.ID{a.ID()}}
			if err := p.server.Register(cluster); err != nil {
				t.Fatal(err)
			}
			params := api.DefaultAddParams()
			params.Shard, params.Local, params.ShardSize = tt.shard, tt.local, 300<<10
			params.ReplicationFactorMin, params.ReplicationFactorMax = 1, 1
			var dags adder.ClusterDAGService
			if tt.shard {
				dags = sharding.New(t.Context(), p.client, params, nil)
			} else {
				dags = single.New(t.Context(), p.client, params, tt.local)
			}
			root, err := add(t, dags, params)
			if tt.refused {
				// Upstream logs the reason and returns an error of its own.
				if !errors.Is(err, adder.ErrBlockAdder) || len(cluster.pins) > 0 || len(a.got()) > 0 {
					t.Errorf("the add of %s: %v; pins %v, blocks %v", root, err, cluster.pins, a.got())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(cluster.pins) != tt.pins {
				t.Errorf("%d pins", len(cluster.pins))
			}
			got := a.got()
			for _, pin := range cluster.pins {
				if pin.Type != api.MetaType && !slices.Contains(got, pin.Cid) {
					t.Errorf("the block of the pin %s (type %s) is nowhere", pin.Cid, pin.Type)
				}
			}
		})
	}
}
