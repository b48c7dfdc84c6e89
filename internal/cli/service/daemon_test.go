package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/test"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// TestDaemonLocal runs peers with upstream's consensus, which need no database.
// With -race it needs -gcflags=github.com/boltdb/bolt=-d=checkptr=0, as make test
// has it: raft's database fails the pointer checks that come with -race.
func TestDaemonLocal(t *testing.T) {
	for _, consensus := range []string{"crdt", "raft"} {
		t.Run(consensus, func(t *testing.T) {
			ipfs := test.NewIpfsMock(t)
			t.Cleanup(ipfs.Close)
			folder := t.TempDir()
			mustRun(t, folder, "init", "--consensus", consensus, "--randomports")
			api := restAPI(t, folder)
			start := func() *process {
				p := startProcess(t, folder, []string{
					fmt.Sprintf("CLUSTER_IPFSHTTP_NODEMULTIADDRESS=/ip4/%s/tcp/%d", ipfs.Addr, ipfs.Port),
					"CLUSTER_MDNSINTERVAL=0", // meet no other peer
				}, "daemon")
				p.waitFor(t, "ready peer", func() bool { return strings.Contains(p.output.String(), "IPFS Cluster is READY") })
				return p
			}
			p := start()
			resp, err := http.Post(api+"/pins/"+test.Cid1.String(), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("pinning: status %s", resp.Status)
			}

			for _, args := range [][]string{{"daemon"}, {"state", "export"}} {
				second := startProcess(t, folder, nil, args...)
				if code := second.exitCode(t); code != 1 {
					t.Errorf("%v beside the daemon: exit code %d, want 1", args, code)
				}
				want := "error obtaining execution lock: another ipfs-cluster-service runs on " + folder
				if !strings.Contains(second.output.String(), want) {
					t.Errorf("%v beside the daemon says\n%swant\n%s", args, second.output, want)
				}
			}

			p.signal(t, syscall.SIGTERM)
			if code := p.exitCode(t); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
			checkLocalState(t, folder)

			p = start()
			resp, err = http.Get(api + "/allocations/" + test.Cid1.String())
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("the pin after a restart: status %s", resp.Status)
			}
			p.signal(t, syscall.SIGINT)
			if code := p.exitCode(t); code != 0 {
				t.Errorf("exit code %d after SIGINT, want 0", code)
			}
		})
	}
}

// checkLocalState exports the one pin of a stopped peer, removes it, and
// imports it again.
func checkLocalState(t *testing.T, folder string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pins.json")
	mustRun(t, folder, "state", "export", "--file", file)
	exported := readFile(t, file)
	if strings.Count(exported, "\n") != 1 || !strings.Contains(exported, test.Cid1.String()) {
		t.Fatalf("the export is %q, want the pin of %s", exported, test.Cid1)
	}
	if got := run(t, folder, "n\n", "state", "cleanup"); got.code != 0 {
		t.Errorf("answering no: exit code %d: %s", got.code, got.stderr)
	}
	if got := mustRun(t, folder, "state", "export").stdout; got != exported {
		t.Errorf("the pinset after answering no is %q, want %q", got, exported)
	}
	mustRun(t, folder, "state", "cleanup", "--force")
	if got := mustRun(t, folder, "state", "export").stdout; got != "" {
		t.Errorf("the pinset after cleanup is %q, want none", got)
	}
	if got := run(t, folder, "y\n"+exported, "state", "import"); got.code != 0 {
		t.Errorf("importing from stdin: exit code %d: %s", got.code, got.stderr)
	}
	if got := mustRun(t, folder, "state", "export").stdout; got != exported {
		t.Errorf("the pinset after import is %q, want %q", got, exported)
	}
}

// restAPI returns the URL of the REST API in service.json.
func restAPI(t *testing.T, folder string) string {
	t.Helper()
	addr, err := multiaddr.NewMultiaddr(readSettings(t, folder).at("api.restapi.http_listen_multiaddress").(string))
	if err != nil {
		t.Fatal(err)
	}
	_, hostPort, err := manet.DialArgs(addr)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + hostPort
}

// TestSignalWhileWaitingForTheDatabase ends commands that wait for ever.
func TestSignalWhileWaitingForTheDatabase(t *testing.T) {
	for _, tc := range []struct {
		signal os.Signal
		args   []string
	}{
		{syscall.SIGINT, []string{"daemon"}},
		{syscall.SIGTERM, []string{"daemon"}},
		{syscall.SIGHUP, []string{"daemon"}},
		{syscall.SIGINT, []string{"state", "export"}},
		{syscall.SIGINT, []string{"state", "import", "--force", os.DevNull}},
	} {
		t.Run(fmt.Sprint(tc.signal, tc.args), func(t *testing.T) {
			t.Parallel()
			// A server that takes connections and hangs up: it proves
			// that the command has got to its database.
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			tried := make(chan struct{})
			var once sync.Once
			served := make(chan struct{})
			go func() {
				defer close(served)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
					once.Do(func() { close(tried) })
				}
			}()
			t.Cleanup(func() {
				_ = ln.Close()
				<-served
			})
			folder := initWith(t, nil)
			port := ln.Addr().(*net.TCPAddr).Port
			p := startProcess(t, folder, []string{
				fmt.Sprintf("CLUSTER_SCYLLA_PORT=%d", port),
				"CLUSTER_SCYLLA_CONNECTTIMEOUT=0s", // for ever
			}, tc.args...)
			p.waitFor(t, "connection", func() bool {
				select {
				case <-tried:
					return true
				default:
					return false
				}
			})
			p.signal(t, tc.signal)
			if code := p.exitCode(t); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if want := "error opening the pinset: stopped by a signal: "; !strings.Contains(p.output.String(), want) {
				t.Errorf("the output does not say %q", want)
			}
		})
	}
}

func TestBootstrapPeersAreTrusted(t *testing.T) {
	id, err := peer.Decode(peerA)
	if err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{backendScylla, backendCRDT, backendRaft} {
		cfg := &peerConfig{ConfigHelper: cmdutils.NewConfigHelper("", "", "", ""), scylla: &scyllastate.Config{}, backend: backend}
		t.Cleanup(cfg.Manager().Shutdown)
		cfg.trust([]peer.ID{id})
		if got, want := slices.Contains(cfg.scylla.TrustedPeers, id), backend == backendScylla; got != want {
			t.Errorf("%s: trusted in the scylla state: %t, want %t", backend, got, want)
		}
		if got, want := slices.Contains(cfg.Configs().Crdt.TrustedPeers, id), backend == backendCRDT; got != want {
			t.Errorf("%s: trusted in the crdt consensus: %t, want %t", backend, got, want)
		}
	}
}

func TestLeaveStaysOutOfServiceJSON(t *testing.T) {
	cfg := &peerConfig{ConfigHelper: cmdutils.NewConfigHelper("", "", "", "")}
	t.Cleanup(cfg.Manager().Shutdown)
	if err := cfg.Manager().Default(); err != nil {
		t.Fatal(err)
	}
	for _, leave := range []bool{false, true} {
		p := &clusterPeer{cfg: cfg, leave: leave}
		if got := p.clusterConfig().LeaveOnShutdown; got != leave {
			t.Errorf("the cluster leaves: %t, want %t", got, leave)
		}
		if cfg.Configs().Cluster.LeaveOnShutdown {
			t.Error("--leave changed the configuration that is saved")
		}
	}
	cfg.Configs().Cluster.LeaveOnShutdown = true
	if !(&clusterPeer{cfg: cfg}).clusterConfig().LeaveOnShutdown {
		t.Error("leave_on_shutdown of service.json is lost")
	}
}

// fakeCluster is a cluster that shuts down when the test says so.
type fakeCluster struct {
	shutdowns chan struct{} // one value per call of Shutdown
	result    chan error    // what Shutdown waits for and returns
	done      chan struct{}
}

func (c *fakeCluster) Shutdown(context.Context) error {
	c.shutdowns <- struct{}{}
	return <-c.result
}

func (c *fakeCluster) Done() <-chan struct{} { return c.done }

func TestRunUntilShutdown(t *testing.T) {
	lostErr := errors.New("taken over")
	shutdownErr := errors.New("disk full")
	for _, tc := range []struct {
		name   string
		events func(c *fakeCluster, signals chan<- os.Signal, lost chan<- error)
		want   []error // all are in the result; nil: no error
	}{
		{"by itself", func(c *fakeCluster, _ chan<- os.Signal, _ chan<- error) { close(c.done) }, nil},
		{"one signal", func(c *fakeCluster, signals chan<- os.Signal, _ chan<- error) {
			signals <- syscall.SIGTERM
			<-c.shutdowns
			close(c.done)
		}, nil},
		{"two signals", func(c *fakeCluster, signals chan<- os.Signal, _ chan<- error) {
			signals <- syscall.SIGTERM
			signals <- syscall.SIGTERM
			<-c.shutdowns
			close(c.done)
		}, nil},
		{"three signals", func(c *fakeCluster, signals chan<- os.Signal, _ chan<- error) {
			for range 3 {
				signals <- syscall.SIGINT
			}
		}, []error{errForcedExit}},
		{"shutdown fails", func(c *fakeCluster, signals chan<- os.Signal, _ chan<- error) {
			signals <- syscall.SIGTERM
			<-c.shutdowns
			c.result <- shutdownErr
		}, []error{shutdownErr}},
		{"lost", func(c *fakeCluster, _ chan<- os.Signal, lost chan<- error) {
			lost <- lostErr
			<-c.shutdowns
			close(c.done)
		}, []error{lostErr}},
		{"lost and shutdown fails", func(c *fakeCluster, _ chan<- os.Signal, lost chan<- error) {
			lost <- lostErr
			<-c.shutdowns
			c.result <- shutdownErr
		}, []error{lostErr, shutdownErr}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &fakeCluster{shutdowns: make(chan struct{}, 3), result: make(chan error), done: make(chan struct{})}
			signals, lost := make(chan os.Signal), make(chan error)
			cmd := &command{stderr: &bytes.Buffer{}}
			ended := make(chan error, 1)
			go func() { ended <- cmd.runUntilShutdown(context.Background(), c, signals, lost) }()
			tc.events(c, signals, lost)
			select {
			case err := <-ended:
				if (err == nil) != (len(tc.want) == 0) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				for _, want := range tc.want {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want it to hold %v", err, want)
					}
				}
			case <-time.After(patience):
				t.Fatal("it did not end")
			}
		})
	}
}
