package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

var readyLine = regexp.MustCompile(`IPFS Cluster is READY`)

// clusterSecret is that of every peer, so that they could be one cluster.
var clusterSecret = strings.Repeat("0123456789abcdef", 4)

// peer is an ipfs-cluster-service with a folder of its own. Its methods must be
// called from the goroutine of its test, those of rest from any.
type peer struct {
	rest
	dir    string
	folder string  // of the configuration, below dir
	api    string  // multiaddress of the REST API
	daemon *daemon // the last that was started
	starts int
}

// peersMade numbers the peers of this process, for ports of their own.
var peersMade atomic.Int32

// database says where a peer finds its pinset.
type database struct {
	hosts    []string
	port     int
	keyspace string
}

// on is a keyspace without rows on a server. Its tables may be there already.
func on(t *testing.T, server *cqltest.Server) database {
	t.Helper()
	return database{hosts: server.Hosts(), port: server.Port(), keyspace: server.Emptied(t)}
}

// onNew is a keyspace that does not exist yet.
func onNew(t *testing.T, server *cqltest.Server) database {
	t.Helper()
	return database{hosts: server.Hosts(), port: server.Port(), keyspace: server.Keyspace(t)}
}

// ownAddress is a loopback address that no other process has.
func ownAddress() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&255, pid&255)
}

// newPeer makes the folder of a peer whose pinset is in db. k may be nil for a
// peer that does not come so far as to need IPFS. More variables of the
// environment change the configuration that init writes.
func newPeer(t *testing.T, db database, k *ipfs, vars map[string]string) *peer {
	t.Helper()
	env := map[string]string{
		"CLUSTER_SCYLLA_HOSTS":    strings.Join(db.hosts, ","),
		"CLUSTER_SCYLLA_PORT":     strconv.Itoa(db.port),
		"CLUSTER_SCYLLA_KEYSPACE": db.keyspace,
	}
	maps.Copy(env, vars)
	return initPeer(t, service, k, env, "--state", "scylla")
}

// initPeer makes the folder of a peer with init of stock or of ours.
func initPeer(t *testing.T, name string, k *ipfs, vars map[string]string, flags ...string) *peer {
	t.Helper()
	host := ownAddress()
	port := 9094 + 10*int(peersMade.Add(1))
	listen := func(offset int) string { return fmt.Sprintf("/ip4/%s/tcp/%d", host, port+offset) }
	p := &peer{
		rest: rest{url: "http://" + net.JoinHostPort(host, strconv.Itoa(port)), client: newHTTPClient(t)},
		dir:  t.TempDir(),
		api:  listen(0),
	}
	p.folder = filepath.Join(p.dir, "cluster")
	env := map[string]string{
		"CLUSTER_SECRET":                           clusterSecret,
		"CLUSTER_MDNSINTERVAL":                     "0",
		"CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS":   listen(0),
		"CLUSTER_IPFSPROXY_LISTENMULTIADDRESS":     listen(1),
		"CLUSTER_LISTENMULTIADDRESS":               listen(2),
		"CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": listen(3),
	}
	if k != nil {
		env["CLUSTER_IPFSHTTP_NODEMULTIADDRESS"] = k.api
		env["CLUSTER_IPFSPROXY_NODEMULTIADDRESS"] = k.api
	}
	maps.Copy(env, vars)
	cmd := p.as(t, name, append([]string{"init"}, flags...)...)
	cmd.Env = environ(p.dir, env)
	mustRun(t, cmd)
	return p
}

// as is a command line of stock or of ours for this peer.
func (p *peer) as(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"--config", p.folder, "--loglevel", "info,restapilog:error,ipfshttp:error"}, args...)
	cmd := exec.Command(program(t, name), args...)
	cmd.Env = environ(p.dir, nil)
	return cmd
}

// service is a command line of ours for this peer. vars may be nil.
func (p *peer) service(t *testing.T, vars map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.as(t, service, args...)
	cmd.Env = environ(p.dir, vars)
	return cmd
}

// ctl runs the stock ipfs-cluster-ctl against this peer.
func (p *peer) ctl(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(program(t, ctl), append([]string{"--host", p.api}, args...)...)
	cmd.Env = environ(p.dir, nil)
	return run(t, cmd)
}

// start starts the daemon.
func (p *peer) start(t *testing.T) {
	t.Helper()
	p.launch(t, p.service(t, nil, "daemon"))
}

// launch starts a command line that is a daemon.
func (p *peer) launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	p.starts++
	p.daemon = start(t, filepath.Join(p.dir, fmt.Sprintf("peer-%d.log", p.starts)), cmd)
}

// waitReady waits until the daemon serves requests and can allocate pins.
func (p *peer) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, readyTimeout, "the peer is ready", func() error {
		if err := p.daemon.logged(t, readyLine, 1); err != nil {
			return err
		}
		for _, metric := range []string{"ping", "freespace"} {
			valid := false
			err := p.do(http.MethodGet, "/monitor/metrics/"+metric, func(value json.RawMessage) error {
				valid = valid || string(value) != "[]"
				return nil
			})
			if err == nil && !valid {
				err = errors.New("no metric " + metric)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// stop ends the daemon as a user does.
func (p *peer) stop(t *testing.T) {
	t.Helper()
	if code, _ := p.daemon.interrupt(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d after SIGINT, want 0", code)
	}
}

// setConfig changes fields of state.scylla in service.json until the test ends,
// which may be a part of the one that made the peer.
func (p *peer) setConfig(t *testing.T, fields map[string]any) {
	t.Helper()
	path := filepath.Join(p.folder, "service.json")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(before, &config); err != nil {
		t.Fatal(err)
	}
	section, ok := config["state"].(map[string]any)["scylla"].(map[string]any)
	if !ok {
		t.Fatalf("no state.scylla in %s", before)
	}
	maps.Copy(section, fields)
	after, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(after)
	t.Cleanup(func() { write(before) })
}

// startTwoPeers starts two peers with an IPFS daemon each, which both have the same blocks.
func startTwoPeers(t *testing.T, db database, blocks int) (peers []*peer, kubos []*ipfs, cids []string) {
	t.Helper()
	for range 2 {
		k := startKubo(t)
		p := newPeer(t, db, k, nil)
		p.start(t)
		cids = k.addBlocks(t, t.Name(), blocks)
		peers, kubos = append(peers, p), append(kubos, k)
	}
	for _, p := range peers {
		p.waitReady(t)
	}
	return peers, kubos, cids
}
