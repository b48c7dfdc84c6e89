package compose

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const entrypoint = "deploy/entrypoint.sh"

// fields says where in service.json each variable of the peers must arrive,
// and as what.
var fields = map[string]struct {
	path string
	list bool // the variable is one entry of a list
}{
	"CLUSTER_SECRET":                           {path: "cluster.secret"},
	"CLUSTER_PEERNAME":                         {path: "cluster.peername"},
	"CLUSTER_SCYLLA_HOSTS":                     {path: "state.scylla.hosts", list: true},
	"CLUSTER_IPFSHTTP_NODEMULTIADDRESS":        {path: "ipfs_connector.ipfshttp.node_multiaddress"},
	"CLUSTER_IPFSPROXY_NODEMULTIADDRESS":       {path: "api.ipfsproxy.node_multiaddress"},
	"CLUSTER_IPFSPROXY_LISTENMULTIADDRESS":     {path: "api.ipfsproxy.listen_multiaddress"},
	"CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS":   {path: "api.restapi.http_listen_multiaddress"},
	"CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": {path: "api.pinsvcapi.http_listen_multiaddress"},
	"CLUSTER_ADMIN_LISTEN":                     {path: "observations.admin.listen"},
}

// container is a container without the container: its start script, its folder,
// and its environment.
type container struct {
	script string
	folder string
	env    []string // PATH first
}

func newPeer(t *testing.T, s service) container {
	t.Helper()
	p := container{script: entrypoint, folder: filepath.Join(t.TempDir(), "data")}
	// The image has the programs in its path, and its own IPFS_CLUSTER_PATH.
	p.env = []string{"PATH=" + binaries(t) + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "IPFS_CLUSTER_PATH=" + p.folder}
	for name := range s.Environment {
		p.env = append(p.env, name+"="+s.env(name))
	}
	return p
}

// start runs the start script with args and returns its output.
func (p container) start(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, p.script), args...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// config returns service.json.
func (p container) config(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, "service.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStartScript starts each peer of the compose file twice. The first start
// writes what the variables say into service.json, each into its field.
func TestStartScript(t *testing.T) {
	p := mustLoad(t)
	peers := 0
	for name, s := range p.Services {
		if !strings.HasPrefix(name, "cluster") {
			continue
		}
		peers++
		t.Run(name, func(t *testing.T) {
			peer := newPeer(t, s)
			first, err := peer.start(t, "version")
			if err != nil {
				t.Fatalf("first start: %v\n%s", err, first)
			}
			written := peer.config(t)
			for _, problem := range checkConfig(t, written, s) {
				t.Error(problem)
			}
			identity, err := os.ReadFile(filepath.Join(peer.folder, "identity.json"))
			if err != nil {
				t.Fatal(err)
			}

			second, err := peer.start(t, "version")
			if err != nil {
				t.Fatalf("second start: %v\n%s", err, second)
			}
			if !strings.HasSuffix(first, second) || strings.Contains(second, "written") || strings.Contains(second, "new: ") {
				t.Errorf("the second start does more than the command:\n%s\nthe first:\n%s", second, first)
			}
			if peer.config(t) != written {
				t.Error("the second start changed service.json")
			}
			after, err := os.ReadFile(filepath.Join(peer.folder, "identity.json"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(after, identity) {
				t.Error("the second start changed the identity")
			}
		})
	}
	if peers == 0 {
		t.Error("the compose file has no peer")
	}
}

// TestStartScriptStops shows that a peer whose configuration could not be
// written does not go on to run.
func TestStartScriptStops(t *testing.T) {
	s := mustLoad(t).Services["cluster"]
	bad := "no secret"
	s.Environment["CLUSTER_SECRET"] = &bad
	out, err := newPeer(t, s).start(t, "version")
	if err == nil || !strings.Contains(out, "secret") {
		t.Errorf("with a bad secret: %v\n%s", err, out)
	}
}

// TestImageCommand shows that the service knows the command of the image.
func TestImageCommand(t *testing.T) {
	peer := newPeer(t, mustLoad(t).Services["cluster"])
	command := readDockerfile(t).command
	out, err := peer.start(t, append(slices.Clone(command), "--help")...)
	if err != nil || !strings.Contains(out, "ipfs-cluster-service "+strings.Join(command, " ")+" ") {
		t.Errorf("the service does not know %q: %v\n%s", command, err, out)
	}
}

// checkConfig returns what of the environment of s is not in service.json.
func checkConfig(t *testing.T, text string, s service) []string {
	t.Helper()
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	var problems []string
	if _, ok := config["consensus"]; ok {
		problems = append(problems, "service.json has a consensus section: the pinset is not in the database")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		field, ok := fields[name]
		if !ok {
			problems = append(problems, name+" is not known to this test: say in fields where it must arrive")
			continue
		}
		var wanted any = s.env(name)
		if field.list {
			wanted = []any{wanted}
		}
		if got := lookUp(config, field.path); !reflect.DeepEqual(got, wanted) {
			problems = append(problems, name+" does not arrive in "+field.path)
		}
	}
	return problems
}

// lookUp returns the value at a path of keys with dots between them, or nil.
func lookUp(config map[string]any, path string) any {
	var value any = config
	for key := range strings.SplitSeq(path, ".") {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[key]
	}
	return value
}
