package multipeer

import (
	"bytes"
	"crypto/rand"
	"errors"
	"mime/multipart"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/adder"
	"github.com/ipfs-cluster/ipfs-cluster/adder/sharding"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestSharded: content that is added in shards, each pinned on its own, is held
// as the pins say, and goes as a whole.
func TestSharded(t *testing.T) {
	w := newPeers(t, 2)
	params := api.DefaultAddParams()
	params.Shard, params.ShardSize = true, 300<<10
	params.ReplicationFactorMin, params.ReplicationFactorMax = 2, 2
	root := w.addFile(w.nodes[0], params, 1<<20)
	w.converge()

	types := make(map[api.PinType]int)
	for c, pin := range w.desired() {
		types[pin.Type]++
		for _, n := range w.nodes {
			_, ok := n.kubo.held()[c]
			if meta := pin.Type == api.MetaType; ok == meta {
				t.Errorf("pin of type %s: %s has it pinned: %t", pin.Type, n.name, ok)
			}
		}
	}
	if types[api.MetaType] != 1 || types[api.ClusterDAGType] != 1 || types[api.ShardType] < 3 {
		t.Errorf("the pins are of the types %v", types)
	}
	other := w.nodes[1]
	pin, err := other.cluster.PinGet(t.Context(), root)
	must(t, err)
	if _, err := other.cluster.Unpin(t.Context(), *pin.Reference); err == nil {
		t.Error("a part of sharded content was unpinned on its own")
	}
	// Only there the mock has the block that names the shards: IPFS would fetch it.
	w.unpin(w.nodes[0], root)
	w.converge()
	if _, err := other.cluster.PinGet(t.Context(), root); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("after it is unpinned: %v", err)
	}
	if pins := w.desired(); len(pins) > 0 {
		t.Errorf("these pins stay: %v", pins)
	}
}

// addFile adds a file of random content with upstream's sharding adder.
func (w *world) addFile(by *node, params api.AddParams, size int) api.Cid {
	w.t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "file")
	must(w.t, err)
	_, err = part.Write(content)
	must(w.t, errors.Join(err, form.Close()))
	dags := sharding.New(w.t.Context(), by.client, params, nil)
	root, err := adder.New(dags, params, nil).FromMultipart(w.t.Context(), multipart.NewReader(&body, form.Boundary()))
	must(w.t, errors.Join(err, dags.Close()))
	return root
}
