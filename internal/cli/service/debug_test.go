package service

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
)

// unpacked returns the files of an archive by name, without their folder.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	zipped, err := gzip.NewReader(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for archive := tar.NewReader(zipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(h.Name, "ipfs-cluster-debug/")] = string(text)
	}
}

// planted are secrets in all places where there are some.
func planted() map[string]map[string]any {
	return map[string]map[string]any{
		"cluster": nil,
		"api": {
			"restapi": map[string]any{
				"http_listen_multiaddress": "/ip4/127.0.0.1/tcp/0", "basic_auth_credentials": map[string]string{"admin": "Geheim-basic-1"},
				"headers": map[string][]string{"X-Access": {"Geheim-header-1"}},
			},
		},
		"state": {
			"scylla": map[string]any{"username": "peer", "password": "Geheim-cql-1", "hosts": []string{"127.0.0.1"}, "connect_timeout": "1s", "port": 1},
			"events": map[string]any{"urls": []string{"nats://nats-user:Geheim-nats-1@127.0.0.1:4222", "nats://Geheim-nats-token@127.0.0.1:4223"},
				"monitor_urls": []string{"http://m:Geheim%2Fmonitor@127.0.0.1:8222"}},
		},
	}
}

// TestBundleHasNoSecrets: those of service.json, identity.json and the environment are neither
// in the configuration nor in what a daemon tells, also if it says them in its log.
func TestBundleHasNoSecrets(t *testing.T) {
	folder := initWith(t, planted())
	settings := readSettings(t, folder)
	clusterSecret, _ := settings.at("cluster.secret").(string)
	identity := readFile(t, folder, "identity.json")
	_, after, _ := strings.Cut(identity, `"private_key": "`)
	privateKey, _, _ := strings.Cut(after, `"`)
	all := []string{
		clusterSecret, privateKey, "Geheim-basic-1", "Geheim-header-1", "Geheim-cql-1", "Geheim-nats-1", "Geheim-nats-token", "Geheim/monitor", "Geheim%2Fmonitor",
		"Geheim-env-1", "Geheim-env-2",
	}
	t.Setenv("CLUSTER_PINSVCAPI_BASICAUTHCREDENTIALS", "u:Geheim-env-1,v:Geheim-env-2")

	said := "all of: " + strings.Join(all, " ") + " nats://nats-user:Geheim-nats-1@127.0.0.1:4222"
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cql_client_hosts", Help: said}, func() float64 { return 3 }))
	daemon, err := adminhttp.Listen(t.Context(), adminhttp.Options{Listen: "127.0.0.1:0", Gatherer: registry, More: map[string]http.Handler{
		"/debug/log": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { adminhttp.WriteJSON(w, 200, []string{said}) }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	mustRun(t, folder, "debug", "bundle", "--admin", daemon.Addr().String(), "--output", file)
	files := unpacked(t, file)
	for name, text := range files {
		for _, secret := range all {
			if secret == "" {
				t.Fatal("a secret was not found")
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s has %q:\n%.2000s", name, secret, text)
			}
		}
	}
	for name, want := range map[string]string{
		"service.json": `"hosts"`, "effective.json": `"username": "peer"`, "version.txt": "ipfs-cluster-scylla", "environment.txt": "CLUSTER_PINSVCAPI_BASICAUTHCREDENTIALS",
		"metrics.txt": "cql_client_hosts 3", "readyz.json": `"ready": true`, "goroutines.txt": "goroutine ", "log.json": "all of", "pools.txt": "cql_client_hosts 3",
		"heap.pprof": "", "missing.txt": "database.json: opening the pinset",
	} {
		if text, ok := files[name]; !ok || !strings.Contains(text, want) {
			t.Errorf("%s (there: %t) has no %q:\n%.2000s", name, ok, want, text)
		}
	}
	if len(files) != 11 {
		t.Errorf("%d files", len(files))
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := run(t, folder, "", "debug", "bundle", "--output", file); got.code != 1 || !strings.Contains(got.stderr, "file exists") {
		t.Errorf("over another: %+v", got)
	}
}

// TestBundleWithoutAnything: with a configuration that cannot be read, no daemon and no
// database, there is still something.
func TestBundleWithoutAnything(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "service.json"), `{"cluster": {"secret": "Geheim-secret-1"}, "state": {"scylla": {"pasword": "Geheim-typo"}}}`)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	got := mustRun(t, folder, "debug", "bundle", "-o", file)
	files := unpacked(t, file)
	for name, text := range files {
		if strings.Contains(text, "Geheim-secret-1") {
			t.Errorf("%s has a secret:\n%s", name, text)
		}
	}
	for _, missing := range []string{"effective.json", "database.json", "metrics.txt", "readyz.json", "goroutines.txt", "log.json", "pools.txt"} {
		if !strings.Contains(files["missing.txt"], missing+": ") || !strings.Contains(got.stderr, "missing: "+missing) {
			t.Errorf("nothing says that %s is missing:\n%s\n%s", missing, files["missing.txt"], got.stderr)
		}
	}
	if !strings.Contains(files["service.json"], "XXX_hidden_XXX") || files["version.txt"] == "" {
		t.Errorf("the files are %v", files)
	}
}

func TestProfile(t *testing.T) {
	folder := initWith(t, nil)
	daemon, err := adminhttp.Listen(t.Context(), adminhttp.Options{Listen: "127.0.0.1:0", Gatherer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	address := daemon.Addr().String()
	t.Setenv("CLUSTER_ADMIN_LISTEN", address)
	for _, args := range [][]string{{"cpu", "--seconds", "1"}, {"heap"}, {"goroutine"}} {
		file := filepath.Join(t.TempDir(), "p")
		mustRun(t, folder, append([]string{"debug", "profile", "--output", file}, append(args[1:], args[0])...)...)
		raw, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) { // as pprof writes it
			t.Errorf("%v: %d bytes, %v", args, len(raw), err)
		}
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"memory"}, `taking a profile: "memory" is not a profile: use cpu, heap`},
		{[]string{"--seconds", "301"}, "taking a profile: --seconds 301 cannot be used: use 1 to 300"},
		{[]string{"--seconds", "0", "cpu"}, "taking a profile: --seconds 0 cannot be used"},
		{[]string{"--admin", "127.0.0.1:0", "heap"}, "port 0, which is another one at each start"},
		{[]string{"--admin", "x", "heap"}, `"x" is not an address and a port`},
	} {
		if got := run(t, folder, "", append([]string{"debug", "profile"}, tc.args...)...); got.code != 1 || !strings.Contains(got.stderr, tc.want) {
			t.Errorf("%v: %+v, want %s", tc.args, got, tc.want)
		}
	}
	if err := daemon.Close(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, folder, "", "debug", "profile", "heap"); got.code != 1 || !strings.Contains(got.stderr, "no daemon answers on "+address) {
		t.Errorf("without a daemon: %+v", got)
	}
	t.Setenv("CLUSTER_ADMIN_LISTEN", "")
	if got := run(t, folder, "", "debug", "profile", "heap"); got.code != 1 || !strings.Contains(got.stderr, "the daemon does not listen: set observations.admin.listen") {
		t.Errorf("with a daemon that does not listen: %+v", got)
	}
}

// TestClientOfAnyAddress: a daemon that listens everywhere is asked on this machine.
func TestClientOfAnyAddress(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:9": "127.0.0.1:9", "[::]:9": "[::1]:9", "10.0.0.1:9": "10.0.0.1:9", "localhost:9": "localhost:9"} {
		if d, err := newDaemonClient(listen); err != nil || d.address != want {
			t.Errorf("%s: %s, %v", listen, d.address, err)
		}
	}
}

// TestLongAnswer: a daemon that says more than anybody reads is no reason to take all memory.
func TestLongAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	d := daemonClient{listener.Addr().String()}
	if _, err := d.get(t.Context(), "/metrics", 0); err == nil || !strings.Contains(err.Error(), "longer than 64 MiB") {
		t.Errorf("got %v", err)
	}
}

// TestRefusedByTheDaemon: an answer that is an error is no profile, but a report of a peer that
// is not ready is one.
func TestRefusedByTheDaemon(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "2 profiles are being taken already", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	d := daemonClient{server.Listener.Addr().String()}
	if _, err := d.get(t.Context(), "/debug/pprof/heap", 0); err == nil || !strings.Contains(err.Error(), "it says 503 Service Unavailable: 2 profiles") {
		t.Errorf("got %v", err)
	}
	if _, err := d.get(t.Context(), "/readyz", 0); err != nil {
		t.Errorf("a report: %v", err)
	}
}
