package compose

import (
	"strings"
	"testing"
)

// The checks are worth something only if each can fail: each case plants one
// mistake in docker-compose.yml and says what is complained about.
func TestComposeRulesCanFail(t *testing.T) {
	text, w := source(t), wanted(t)
	for _, test := range []struct{ old, planted, complaint string }{
		// By the compose library.
		{"    volumes:\n      - scylla:", "    volume:\n      - scylla:", "volume"},
		{"kubo: {condition: service_healthy}", "kub: {condition: service_healthy}", "kub"},
		{"  cluster1:\n    <<", "  cluster1:\n    <<: *nothing\n    <<", ""},
		{"service_healthy}", "service_well}", "must be one of"},
		{"volumes:\n  scylla:\n", "volumes:\n", "scylla"},
		{"interval: 5s", "interval: soon", "soon"},
		// By check.
		{w.scylla, w.scylla + "0", "the tests start"},
		{w.scylla, "scylladb/scylla", "no exact tag"},
		{w.scylla, "scylladb/scylla:latest", "no exact tag"},
		{w.kubo, "ipfs/kubo:release", "no exact tag"},
		{w.kubo, w.kubo + "0", "tools/kubo builds"},
		{`"127.0.0.1:9094:9094"`, `"9094:9094"`, "not on a loopback address"},
		{`"127.0.0.1:9097:9097"`, `"0.0.0.0:9097:9097"`, "not on a loopback address"},
		{`"127.0.0.1:9095:9095"`, `"127.0.0.1:9095:9096"`, "the peer listens on"},
		{`"127.0.0.1:8080:8080"`, `"127.0.0.1:5001:5001"`, "rules Kubo"},
		{"kubo: {condition: service_healthy}", "kubo: {condition: service_started}", "not healthy"},
		{"      kubo1: {condition: service_healthy}\n", "", "does not wait for kubo1"},
		{"    healthcheck:\n      test: [\"CMD-SHELL\"", "    x-healthcheck:\n      test: [\"CMD-SHELL\"", "no health check"},
		{`["CMD", "wget"`, `["NONE", "wget"`, "no health check"},
		{"http://127.0.0.1:9094/id", "http://127.0.0.1:9095/id", "does not ask the REST API"},
		{"- scylla:/var/lib/scylla", "- ./scylla:/var/lib/scylla", "not on a named volume"},
		{"- scylla:/var/lib/scylla", "- scylla:/var/lib/scylladb", "keeps /var/lib/scylla on no volume"},
		{"- kubo1:/data", "- kubo:/data", "shares its volume"},
		{"- cluster:/data/ipfs-cluster", "- cluster:/data/cluster", "keeps /data/ipfs-cluster on no volume"},
		{`"--smp=1"`, `"--smp=2"`, "small node"},
		{`, "--commitlog-sync=batch"`, "", "what is on disk"},
		{`"--commitlog-sync=batch"`, `"--commitlog-sync=periodic"`, "what is on disk"},
		{"  init: true\n", "  image: ipfs/ipfs-cluster:v1.1.6\n", "either an image or a build"},
		{"  init: true\n", "  init: true\n  network_mode: host\n", "host's network"},
		{"  init: true\n", "  init: true\n  user: root\n", "as its user"},
		{"  init: true\n", "  init: true\n  command: [daemon, --upgrade]\n", "what its image runs"},
		{"CLUSTER_SCYLLA_HOSTS: scylla", "CLUSTER_SCYLLA_HOSTS: scylla2", "does not exist"},
		{"CLUSTER_SCYLLA_HOSTS: scylla", "CLUSTER_SCYLLA_HOSTS: localhost", "no ScyllaDB"},
		{"_PEERNAME: cluster1", "_PEERNAME: cluster", "CLUSTER_PEERNAME"},
		{"/dns4/kubo1/tcp/5001", "/ip4/127.0.0.1/tcp/5001", "no Kubo's API"},
		{"/ip4/0.0.0.0/tcp/9095", "/ip4/127.0.0.1/tcp/9095", "not reached from outside"},
		{"/ip4/0.0.0.0/tcp/9097", "/ip4/0.0.0.0/tcp/9099", "does not expose"},
		{"prom/prometheus:v2.42.0", "prom/prometheus:v3.5.0", "the tests run 2.42"},
		{"./monitoring/rules:/etc/prometheus/rules:ro", "./monitoring/rules:/etc/prometheus/rules", "not on a named volume"},
		{"./monitoring/rules:", "./monitoring/rule:", "not on a named volume"},
		{"./monitoring/rules:", "./deploy:", "not on a named volume"},
		{"- prometheus:/prometheus", "- prometheus:/data", "keeps /prometheus on no volume"},
		{"- grafana:/var", "- alertmanager:/var", "shares its volume"},
		{`"--storage.tsdb.path=/prometheus"`, `"--storage.tsdb.path=/tmp"`, "runs"},
		{"http://127.0.0.1:9093/-/ready", "http://127.0.0.1:9094/-/ready", "does not ask"},
		{"profiles: [monitoring]", "profiles: [gateway]", "has the profiles"},
		{"  kubo1:\n    <<", "  ipfs:\n    <<", "kubo1"},
		{"  CLUSTER_SECRET: ${", "  CLUSTER_SECRET: abc${", "not the one that was given"},
	} {
		if !strings.Contains(text, test.old) {
			t.Errorf("docker-compose.yml has no %q to plant a mistake in", test.old)
			continue
		}
		p, err := load(t, strings.Replace(text, test.old, test.planted, 1), "CLUSTER_SECRET="+secret)
		var found string
		if err != nil {
			found = err.Error()
		} else {
			found = strings.Join(check(p, w), "\n")
		}
		if found == "" || !strings.Contains(found, test.complaint) {
			t.Errorf("%q in place of %q: complaint %q is missing in %q", test.planted, test.old, test.complaint, found)
		}
	}
}

func TestDockerfileRulesCanFail(t *testing.T) {
	text, from := read(t, "Dockerfile"), readDockerfile(t).from
	for _, test := range []struct{ old, planted, complaint string }{
		{from[0], "golang:latest", "no exact tag"},
		{from[1], "alpine:3.23", "no exact tag"},
		{from[1], "alpine", "no exact tag"},
		{"USER ipfs\n", "", "as root"},
		{"USER ipfs\n", "USER root\n", "as root"},
		{"USER ipfs\n", "SHELL sh\n", "no test knows"},
		{"ENV IPFS_CLUSTER_PATH=/data/ipfs-cluster", "ENV IPFS_CLUSTER_PATH=/data", "IPFS_CLUSTER_PATH"},
		{"VOLUME /data/ipfs-cluster\n", "", "IPFS_CLUSTER_PATH"},
		{`CMD ["daemon"]`, "", "CMD is missing"},
		{`CMD ["daemon"]`, "CMD daemon", "CMD"},
		{"FROM alpine", "# FROM alpine", "two stages"},
		{" ./cmd/pin-gateway", "", "not all that is to be built"},
		{"chown ipfs:ipfs /data/ipfs-cluster /data/pin-gateway", "chown ipfs:ipfs /data/ipfs-cluster", "GATEWAY_PATH"},
		{"ENV GATEWAY_PATH=/data/pin-gateway\n", "", "GATEWAY_PATH"},
		{" deploy/gateway-entrypoint.sh", "", "deploy/gateway-entrypoint.sh is not in the image"},
		{"PIN_GATEWAY_CONFIG=/etc/pin-gateway.json", "PIN_GATEWAY_CONFIG=/etc/gateway.json", "PIN_GATEWAY_CONFIG"},
		{"deploy/pin-gateway.json /etc", "deploy/keycloak-realm.json /etc", "PIN_GATEWAY_CONFIG"},
		{"/usr/local/bin/entrypoint.sh\"]", "/usr/local/bin/gateway-entrypoint.sh\"]", "is not deploy/entrypoint.sh"},
	} {
		if !strings.Contains(text, test.old) {
			t.Errorf("the Dockerfile has no %q to plant a mistake in", test.old)
			continue
		}
		found := strings.Join(checkDockerfile(strings.Replace(text, test.old, test.planted, 1)), "\n")
		if found == "" || !strings.Contains(found, test.complaint) {
			t.Errorf("%q in place of %q: complaint %q is missing in %q", test.planted, test.old, test.complaint, found)
		}
	}
}

// A variable that the service does not know is noticed.
func TestConfigRulesCanFail(t *testing.T) {
	s := mustLoad(t).Services["cluster"]
	peer := newPeer(t, s)
	if out, err := peer.start(t, "version"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	written := peer.config(t)
	for name := range fields {
		other := "other"
		planted := service{Environment: map[string]*string{name: &other}}
		if len(checkConfig(t, written, planted)) == 0 {
			t.Errorf("another value of %s is not noticed", name)
		}
	}
	planted := service{Environment: map[string]*string{"CLUSTER_SCYLLA_HOST": new(string)}}
	if len(checkConfig(t, written, planted)) == 0 {
		t.Error("CLUSTER_SCYLLA_HOST, which does not exist, is not noticed")
	}
}
