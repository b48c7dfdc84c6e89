package multipeer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// buildKubo returns the path of Kubo: in the folder that E2E_BIN names, or built for the
// test.
func buildKubo(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("E2E_BIN"); dir != "" {
		program, err := filepath.Abs(filepath.Join(dir, "ipfs"))
		must(t, err)
		return program
	}
	program := filepath.Join(t.TempDir(), "ipfs")
	cmd := exec.Command("go", "build", "-ldflags=-s", "-o", program, "github.com/ipfs/kubo/cmd/ipfs")
	cmd.Dir = "../../tools/kubo"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building Kubo: %s\n%s", err, out)
	}
	return program
}

// realKubo is a Kubo daemon with its repository. Kubos of a test are connected with each
// other, and with nobody else.
type realKubo struct {
	program, dir string

	mu      sync.Mutex
	process *child.Process // nil while it does not run
	// had is what it had pinned when it was killed.
	had map[api.Cid]bool
}

// newRealKubo makes a repository, and starts Kubo.
func newRealKubo(t *testing.T, program string) *kubo {
	t.Helper()
	k := &kubo{t: t, real: &realKubo{program: program, dir: t.TempDir()}}
	if out, err := k.real.command("init", "--profile", "test").CombinedOutput(); err != nil {
		t.Fatalf("making a repository for Kubo: %s\n%s", err, out)
	}
	k.run()
	t.Cleanup(k.kill)
	for c := range k.pinned() { // the empty directory
		k.call("pin/rm?arg="+c.String(), drain)
	}
	return k
}

func (r *realKubo) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.program, args...)
	cmd.Env = append(os.Environ(), "HOME="+r.dir, "IPFS_TELEMETRY=off", "IPFS_PATH="+filepath.Join(r.dir, "repo"))
	return cmd
}

// run starts Kubo, which chooses free ports, and waits until it answers.
func (k *kubo) run() {
	k.t.Helper()
	file := filepath.Join(k.real.dir, "repo", "api")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.t.Fatal(err)
	}
	process, err := child.Start(k.real.command("daemon"))
	must(k.t, err)
	k.real.mu.Lock()
	k.real.process = process
	k.real.mu.Unlock()
	eventually(k.t, "Kubo to answer", func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		parts := strings.Split(strings.TrimSpace(string(text)), "/")
		if len(parts) != 5 {
			return fmt.Sprintf("API at %q", text)
		}
		k.url = &url.URL{Scheme: "http", Host: parts[2] + ":" + parts[4]}
		res, err := http.Post(k.url.String()+"/api/v0/id", "", nil)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		return strings.TrimPrefix(res.Status, "200 OK")
	})
}

// kill kills Kubo, if it runs.
func (k *kubo) kill() {
	if !k.runs() {
		return
	}
	had := k.pinned()
	k.real.mu.Lock()
	defer k.real.mu.Unlock()
	k.real.process.Kill()
	k.real.process, k.real.had = nil, had
}

func (k *kubo) runs() bool {
	k.real.mu.Lock()
	defer k.real.mu.Unlock()
	return k.real.process != nil
}

// connect connects Kubo with another one.
func (k *kubo) connect(other *kubo) {
	k.t.Helper()
	var id struct{ Addresses []string }
	other.call("id", func(body io.Reader) error { return json.NewDecoder(body).Decode(&id) })
	k.call("swarm/connect?"+url.Values{"arg": id.Addresses}.Encode(), drain)
}

// collect removes what is not pinned.
func (k *kubo) collect() {
	k.t.Helper()
	k.call("repo/gc", drain)
}

func drain(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

// add stores the block of the text, as cidOf names it, and does not pin it.
func (k *kubo) add(text string) {
	k.t.Helper()
	var body strings.Builder
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "block")
	must(k.t, err)
	_, err = io.WriteString(part, text)
	must(k.t, err)
	must(k.t, form.Close())
	res, err := http.Post(k.url.String()+"/api/v0/block/put?cid-codec=raw", form.FormDataContentType(), strings.NewReader(body.String()))
	must(k.t, err)
	defer res.Body.Close()
	must(k.t, drain(res.Body))
	if c := cidOf(k.t, text); !k.hasBlock(c) {
		k.t.Fatalf("Kubo has no block %s: %s", c, res.Status)
	}
}

// pinned is what Kubo has pinned, or had when it was killed.
func (k *kubo) pinned() map[api.Cid]bool {
	k.real.mu.Lock()
	runs, had := k.real.process != nil, k.real.had
	k.real.mu.Unlock()
	if !runs {
		return had
	}
	pins := make(map[api.Cid]bool)
	for c := range k.held() {
		pins[c] = true
	}
	return pins
}

// hasBlock tells whether Kubo has the content itself.
func (k *kubo) hasBlock(c api.Cid) bool {
	k.t.Helper()
	res, err := http.Post(k.url.String()+"/api/v0/block/get?offline=true&arg="+c.String(), "", nil)
	must(k.t, err)
	defer res.Body.Close()
	must(k.t, drain(res.Body))
	return res.StatusCode == http.StatusOK
}
