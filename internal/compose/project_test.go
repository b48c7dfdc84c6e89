package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// root is the checkout.
const root = "../.."

// What the tests start peers and Keycloak with.
const (
	secret        = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	adminPassword = "0123456789abcdef"
)

// project is what the tests look at of a compose project.
type project struct {
	Services map[string]service        `json:"services"`
	Volumes  map[string]map[string]any `json:"volumes"`
	Configs  map[string]struct {
		File string `json:"file"`
	} `json:"configs"`
}

type service struct {
	Profiles    []string           `json:"profiles"`
	Image       string             `json:"image"`
	Build       *build             `json:"build"`
	Command     []string           `json:"command"`
	Entrypoint  []string           `json:"entrypoint"`
	Environment map[string]*string `json:"environment"`
	Ports       []port             `json:"ports"`
	Volumes     []mount            `json:"volumes"`
	Configs     []mount            `json:"configs"`
	DependsOn   map[string]struct {
		Condition string `json:"condition"`
	} `json:"depends_on"`
	Healthcheck *struct {
		Test    []string `json:"test"`
		Disable bool     `json:"disable"`
	} `json:"healthcheck"`
	StopGrace   string `json:"stop_grace_period"`
	NetworkMode string `json:"network_mode"`
	Privileged  bool   `json:"privileged"`
	User        string `json:"user"`
}

type build struct {
	Context    string `json:"context"`
	Dockerfile string `json:"dockerfile"`
}

type port struct {
	HostIP    string `json:"host_ip"`
	Target    int    `json:"target"`
	Published string `json:"published"`
}

type mount struct {
	Type     string `json:"type"`
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
}

// env is the value of a variable that the compose file gives to the service.
func (s service) env(name string) string {
	if v := s.Environment[name]; v != nil {
		return *v
	}
	return ""
}

// programs are built once for all tests of this process.
var programs struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(programs.dir); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// binaries returns the folder with compose, which is tools/compose,
// ipfs-cluster-service and pin-gateway.
func binaries(t *testing.T) string {
	t.Helper()
	programs.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "ipfs-cluster-scylla-compose-"); programs.err != nil {
			return
		}
		for _, b := range []struct{ module, pkg string }{
			{root + "/tools/compose", "."},
			{root, "./cmd/ipfs-cluster-service"},
			{root, "./cmd/pin-gateway"},
		} {
			cmd := exec.Command("go", "build", "-ldflags=-s", "-o", programs.dir+"/", b.pkg)
			cmd.Dir = b.module
			if out, err := cmd.CombinedOutput(); err != nil {
				programs.err = fmt.Errorf("%s in %s: %w\n%s", strings.Join(cmd.Args, " "), b.module, err, out)
				return
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// source is the compose file of the repository.
func source(t *testing.T) string {
	t.Helper()
	return read(t, "docker-compose.yml")
}

// read returns a file of the checkout.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads a compose file as Docker Compose does, with all profiles. Of the
// environment it sees vars only.
func load(t *testing.T, text string, vars ...string) (project, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "docker-compose.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries(t), "compose"), file)
	cmd.Env = append([]string{}, vars...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		return project{}, errors.New(stderr.String())
	}
	var p project
	if err := json.Unmarshal(stdout.Bytes(), &p); err != nil {
		t.Fatal("tools/compose prints no JSON: ", err)
	}
	return p, nil
}

// mustLoad reads the compose file of the repository.
func mustLoad(t *testing.T) project {
	t.Helper()
	p, err := load(t, source(t), "CLUSTER_SECRET="+secret, "KEYCLOAK_ADMIN_PASSWORD="+adminPassword)
	if err != nil {
		t.Fatal("docker-compose.yml: ", err)
	}
	return p
}

// scyllaImage is the image that the tests on ScyllaDB start.
func scyllaImage(t *testing.T) string {
	t.Helper()
	return constant(t, "internal/cqltest/engine/scylla.go", "scyllaImage")
}

// keycloakImage is the image of the Keycloak that the tests start.
func keycloakImage(t *testing.T) string {
	t.Helper()
	return "quay.io/keycloak/keycloak:" + constant(t, "internal/keycloaktest/home.go", "version")
}

// constant is a text that a file of the checkout defines.
func constant(t *testing.T, name, constant string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == constant {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, err = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	if err != nil || text == "" {
		t.Fatalf("%s has no constant %s: %v", name, constant, err)
	}
	return text
}

// kuboImage is the image of the Kubo version that tools/kubo builds.
func kuboImage(t *testing.T) string {
	t.Helper()
	version := regexp.MustCompile(`github\.com/ipfs/kubo (v\S+)`).FindStringSubmatch(read(t, "tools/kubo/go.mod"))
	if version == nil {
		t.Fatal("tools/kubo/go.mod does not require Kubo")
	}
	return "ipfs/kubo:" + version[1]
}
