package role_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

var (
	_ ipfscluster.PinTracker    = (*role.Tracker)(nil)
	_ ipfscluster.IPFSConnector = (*role.Connector)(nil)
	_ ipfscluster.Informer      = role.Informer{}
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

func TestParse(t *testing.T) {
	for text, want := range map[string]role.Role{"": role.Full, "full": role.Full, "api": role.API, "worker": role.Worker} {
		if got, err := role.Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"API", " api", "peer"} {
		got, err := role.Parse(text)
		if err == nil || got != "" {
			t.Errorf("Parse(%q) = %q, %v", text, got, err)
			continue
		}
		for _, part := range []string{text, `"full"`, `"api"`, `"worker"`} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("Parse(%q) does not name %s: %s", text, part, err)
			}
		}
	}
}

// TestStored: the names are those that are in the table of the peers.
func TestStored(t *testing.T) {
	for r, stored := range map[role.Role]string{
		role.Full: membership.RoleFull, role.API: membership.RoleAPI, role.Worker: membership.RoleWorker,
	} {
		if string(r) != stored {
			t.Errorf("role %q is stored as %q", r, stored)
		}
	}
}

// TestForwardedMethods: they are those that upstream closes, by their names.
func TestForwardedMethods(t *testing.T) {
	for _, method := range role.ForwardedMethods() {
		if policy, ok := ipfscluster.DefaultRPCPolicy[method]; !ok || policy != ipfscluster.RPCClosed {
			t.Errorf("%s: %v, %v", method, policy, ok)
		}
	}
}

// TestInformer: there is a metric, and it is never published.
func TestInformer(t *testing.T) {
	i := role.Informer{}
	i.SetClient(nil)
	metrics := i.GetMetrics(t.Context())
	if len(metrics) == 0 {
		t.Error("upstream wants one metric at least")
	}
	for _, m := range metrics {
		if !m.Discard() || m.Valid {
			t.Errorf("upstream publishes %s", m)
		}
	}
	if i.Name() != "role" {
		t.Errorf("Name = %q", i.Name())
	}
	if err := i.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// trusted is upstream's RPC policy with the forwarded methods open to trusted
// peers.
func trusted() map[string]ipfscluster.RPCEndpointType {
	policy := maps.Clone(ipfscluster.DefaultRPCPolicy)
	for _, method := range role.ForwardedMethods() {
		policy[method] = ipfscluster.RPCTrusted
	}
	return policy
}

func sorted[T any](items []T, text func(T) string) []string {
	var out []string
	for _, i := range items {
		out = append(out, text(i))
	}
	slices.Sort(out)
	return out
}
