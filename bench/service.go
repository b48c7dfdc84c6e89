package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	ipfstest "github.com/ipfs-cluster/ipfs-cluster/test"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// service is an ipfs-cluster-service with a folder of its own. Its IPFS runs in
// this process and costs the daemon nothing but its requests.
type service struct {
	binary string
	dir    string
	url    string // of the REST API
	pprof  string // of the profiles, if the metrics are on
	listen string // multiaddress for other peers
	env    []string
	close  func() // ends its IPFS
}

// newService makes a service on the keyspace of conf, over upstream's mock of IPFS.
// Each index has ports of its own.
func newService(ctx context.Context, binary, dir string, index int, conf *scyllastate.Config, recoverEvery time.Duration) (*service, error) {
	// It takes a *testing.T for a failure that a store in memory cannot have.
	mock := ipfstest.NewIpfsMock(nil)
	s, err := initService(ctx, binary, dir, index, fmt.Sprintf("/ip4/%s/tcp/%d", mock.Addr, mock.Port), sharedEnv(conf, recoverEvery), "--state", "scylla")
	if err != nil {
		mock.Close()
		return nil, err
	}
	s.close = mock.Close
	return s, nil
}

// sharedEnv are the variables of a peer whose pinset is in a keyspace.
func sharedEnv(conf *scyllastate.Config, recoverEvery time.Duration) map[string]string {
	return map[string]string{
		"CLUSTER_SECRET":             hex.EncodeToString(conf.Secret),
		"CLUSTER_PINRECOVERINTERVAL": recoverEvery.String(),
		"CLUSTER_SCYLLA_HOSTS":       strings.Join(conf.Hosts, ","),
		"CLUSTER_SCYLLA_PORT":        strconv.Itoa(conf.Port),
		"CLUSTER_SCYLLA_KEYSPACE":    conf.Keyspace,
	}
}

// portsOfService is how many ports a service has.
const portsOfService = 10

// initService runs init in dir, for an IPFS at a multiaddress.
func initService(ctx context.Context, binary, dir string, index int, ipfs string, env map[string]string, args ...string) (*service, error) {
	pid := os.Getpid() // no other process has this loopback address
	host := fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&255, pid&255)
	port := func(offset int) int { return 9094 + portsOfService*index + offset }
	listen := func(offset int) string { return fmt.Sprintf("/ip4/%s/tcp/%d", host, port(offset)) }
	url := func(offset int) string { return "http://" + net.JoinHostPort(host, strconv.Itoa(port(offset))) }
	s := &service{binary: binary, dir: dir, url: url(0), pprof: url(4), listen: listen(2), close: func() {}}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "CLUSTER_") && !strings.HasPrefix(name, "IPFS_") {
			s.env = append(s.env, kv)
		}
	}
	all := map[string]string{
		"HOME":                                     dir,
		"IPFS_CLUSTER_PATH":                        s.folder(),
		"IPFS_CLUSTER_LOG_LEVEL":                   "info",
		"CLUSTER_MDNSINTERVAL":                     "0",
		"CLUSTER_ADMIN_LISTEN":                     "",
		"CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS":   listen(0),
		"CLUSTER_IPFSPROXY_LISTENMULTIADDRESS":     listen(1),
		"CLUSTER_LISTENMULTIADDRESS":               listen(2),
		"CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS": listen(3),
		"CLUSTER_METRICS_PROMETHEUSENDPOINT":       listen(4),
		"CLUSTER_IPFSHTTP_NODEMULTIADDRESS":        ipfs,
		"CLUSTER_IPFSPROXY_NODEMULTIADDRESS":       ipfs,
	}
	maps.Copy(all, env)
	for name, value := range all {
		s.env = append(s.env, name+"="+value)
	}
	if out, err := s.command(ctx, append([]string{"init"}, args...)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s init: %w\n%s", binary, err, out)
	}
	return s, nil
}

// folder has the configuration.
func (s *service) folder() string { return filepath.Join(s.dir, "cluster") }

func (s *service) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = s.env
	return cmd
}
