package e2e

import (
	"bytes"
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
	"testing"
)

// ipfs is a Kubo daemon with an empty repository, offline unless it is one of a
// swarm.
type ipfs struct {
	*daemon
	dir    string // its home, with the folder repo
	api    string // multiaddress
	url    string // of the same API
	client *http.Client
}

func startKubo(t *testing.T) *ipfs {
	t.Helper()
	return runKubo(t, "--offline")
}

// startSwarm starts Kubos that are connected to each other, on loopback, and get
// from each other what they lack.
func startSwarm(t *testing.T, n int) []*ipfs {
	t.Helper()
	var swarm []*ipfs
	for range n {
		k := runKubo(t)
		for _, other := range swarm {
			text, err := other.post("id", nil, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var id struct{ Addresses []string }
			if err := json.Unmarshal(text, &id); err != nil {
				t.Fatal(err)
			}
			if _, err := k.post("swarm/connect", url.Values{"arg": id.Addresses}, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		swarm = append(swarm, k)
	}
	return swarm
}

// runKubo starts a Kubo with more flags.
func runKubo(t *testing.T, flags ...string) *ipfs {
	t.Helper()
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	k := &ipfs{dir: dir, client: newHTTPClient(t)}
	mustRun(t, k.command(t, "init", "--profile", "test"))
	k.daemon = start(t, filepath.Join(dir, "kubo.log"), k.command(t, append([]string{"daemon"}, flags...)...))
	eventually(t, readyTimeout, "Kubo is ready", func() error {
		k.running(t)
		// The daemon chooses a free port and writes where it listens.
		addr, err := os.ReadFile(filepath.Join(repo, "api"))
		if err != nil {
			return err
		}
		k.api = strings.TrimSpace(string(addr))
		parts := strings.Split(k.api, "/")
		if len(parts) != 5 {
			return fmt.Errorf("API at %q", addr)
		}
		k.url = fmt.Sprintf("http://%s:%s/api/v0/", parts[2], parts[4])
		_, err = k.post("id", nil, "", nil)
		return err
	})
	return k
}

// command is a command line of Kubo.
func (k *ipfs) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, kubo), args...)
	cmd.Env = environ(k.dir, map[string]string{"IPFS_PATH": filepath.Join(k.dir, "repo")})
	return cmd
}

// post calls the HTTP API and returns the body of the response.
func (k *ipfs) post(command string, query url.Values, contentType string, body io.Reader) ([]byte, error) {
	res, err := k.client.Post(k.url+command+"?"+query.Encode(), contentType, body)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", command, res.Status, text)
	}
	return text, err
}

// addBlocks stores n blocks and returns their CIDs. Each name gives other
// blocks, the same in every Kubo. They are not pinned.
func (k *ipfs) addBlocks(t *testing.T, name string, n int) []string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := range n {
		part, err := form.CreateFormFile("file", "block")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(part, "%s %d", name, i)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := k.post("block/put", url.Values{"cid-codec": {"raw"}}, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	var cids []string
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var block struct{ Key string }
		if err := dec.Decode(&block); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		cids = append(cids, block.Key)
	}
	if len(cids) != n {
		t.Fatalf("Kubo stored %d of %d blocks", len(cids), n)
	}
	return cids
}

// addFile adds a file, which Kubo pins recursively, and returns its CID.
func (k *ipfs) addFile(t *testing.T, content string) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := k.post("add", url.Values{"cid-version": {"1"}, "progress": {"false"}, "pin": {"true"}}, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	var added struct{ Hash string }
	if err := json.Unmarshal(text, &added); err != nil {
		t.Fatalf("reading the answer %q: %s", text, err)
	}
	return added.Hash
}

// pinned returns what Kubo has pinned recursively.
func (k *ipfs) pinned(t *testing.T) map[string]bool {
	t.Helper()
	return k.pinnedAs(t, "recursive")
}

// pinnedAs returns the pins of one type.
func (k *ipfs) pinnedAs(t *testing.T, kind string) map[string]bool {
	t.Helper()
	pins, err := k.pins(kind)
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

// pins is pinnedAs for any goroutine.
func (k *ipfs) pins(kind string) (map[string]bool, error) {
	text, err := k.post("pin/ls", url.Values{"type": {kind}}, "", nil)
	if err != nil {
		return nil, err
	}
	var list struct{ Keys map[string]any }
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	pins := make(map[string]bool, len(list.Keys))
	for c := range list.Keys {
		pins[c] = true
	}
	return pins, nil
}

// size is what Kubo says of the size of a DAG.
func (k *ipfs) size(t *testing.T, cid string) int64 {
	t.Helper()
	text, err := k.post("files/stat", url.Values{"arg": {"/ipfs/" + cid}}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var stat struct{ CumulativeSize int64 }
	if err := json.Unmarshal(text, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.CumulativeSize
}
