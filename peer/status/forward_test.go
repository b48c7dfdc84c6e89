package status

import (
	"reflect"
	"strings"
	"testing"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestMethods: every method of upstream's services is there, with the same types. One
// that is added by a new version is missed here.
func TestMethods(t *testing.T) {
	theirs := map[string]reflect.Type{
		"Cluster":       reflect.TypeFor[*ipfscluster.ClusterRPCAPI](),
		"PinTracker":    reflect.TypeFor[*ipfscluster.PinTrackerRPCAPI](),
		"IPFSConnector": reflect.TypeFor[*ipfscluster.IPFSConnectorRPCAPI](),
		"Consensus":     reflect.TypeFor[*ipfscluster.ConsensusRPCAPI](),
		"PeerMonitor":   reflect.TypeFor[*ipfscluster.PeerMonitorRPCAPI](),
	}
	ours := map[string]reflect.Type{
		"Cluster": reflect.TypeFor[clusterRPC](), "PinTracker": reflect.TypeFor[pinTrackerRPC](),
		"IPFSConnector": reflect.TypeFor[connectorRPC](), "Consensus": reflect.TypeFor[consensusRPC](), "PeerMonitor": reflect.TypeFor[monitorRPC](),
	}
	seen := 0
	for name, their := range theirs {
		for m := range their.Methods() {
			seen++
			our, ok := ours[name].MethodByName(m.Name)
			if !ok {
				t.Errorf("%s.%s is missing", name, m.Name)
				continue
			}
			for i := 1; i < m.Type.NumIn(); i++ {
				if m.Type.In(i) != our.Type.In(i) {
					t.Errorf("%s.%s takes %s, upstream's %s", name, m.Name, our.Type.In(i), m.Type.In(i))
				}
			}
		}
	}
	for method := range ipfscluster.DefaultRPCPolicy {
		name, m, _ := strings.Cut(method, ".")
		if our, known := ours[name]; known {
			if _, ok := our.MethodByName(m); !ok {
				t.Errorf("%s is missing", method)
			}
		}
	}
	if seen < 50 {
		t.Errorf("upstream has %d methods only", seen)
	}
}

// TestHandedOn: what the package does not answer goes to upstream's server as it is,
// errors and streams included.
func TestHandedOn(t *testing.T) {
	w := newWorld(t, 1)
	pin := w.pin("a", 0)
	var got api.Pin
	if err := w.client.CallContext(t.Context(), "", "Cluster", "PinGet", pin.Cid, &got); err != nil || got.Name != "a" {
		t.Errorf("PinGet = %v, %v", got, err)
	}
	if err := w.client.CallContext(t.Context(), "", "Cluster", "PinGet", statetest.Cid("b"), &got); err != state.ErrNotFound {
		t.Errorf("PinGet = %v", err)
	}
	in, out := make(chan struct{}), make(chan api.Pin, 10)
	close(in)
	if err := w.client.Stream(t.Context(), "", "Cluster", "Pins", in, out); err != nil || len(out) != 1 {
		t.Errorf("Pins = %d, %v", len(out), err)
	}
}
