package compose

import (
	"strings"
	"testing"
)

// Each case plants one mistake, as in TestComposeRulesCanFail.
func TestGatewayRulesCanFail(t *testing.T) {
	text, w := source(t), wanted(t)
	for _, test := range []struct{ old, planted, complaint string }{
		{"    profiles: [gateway]\n    entrypoint", "    entrypoint", "profiles"},
		{"    profiles: [gateway]\n    command", "    profiles: [issuer]\n    command", "profiles"},
		{"/usr/local/bin/gateway-entrypoint.sh", "/usr/local/bin/entrypoint.sh", "does not run"},
		{`command: ["serve"]`, `command: ["daemon"]`, "does not run"},
		{`    command: ["serve"]`, `    user: root` + "\n" + `    command: ["serve"]`, "does not run"},
		{"- gateway:/data/pin-gateway", "- gateway:/data/gateway", "keeps /data/pin-gateway on no volume"},
		{"- gateway:/data/pin-gateway", "- ./gateway:/data/pin-gateway", "not on a named volume"},
		{"    stop_grace_period: 30s\n", "", "is killed after"},
		{"stop_grace_period: 30s", "stop_grace_period: 20s", "is killed after"},
		{"127.0.0.1:9098/health", "127.0.0.1:9098/id", "health check"},
		{`"127.0.0.1:9098:9098"`, `"127.0.0.1:9099:9098"`, "is known as"},
		{`"127.0.0.1:9098:9098"`, `"9098:9098"`, "not on a loopback address"},
		{"      cluster: {condition: service_healthy}\n", "", "does not wait for cluster"},
		{"      cluster: {condition: service_healthy}\n", "      cluster: {condition: service_started}\n", "not healthy"},
		{"tcp/9094\n", "tcp/9096\n", "no peer has its REST API"},
		{"      PIN_GATEWAY_EVENTS_CLUSTER: ipfs-cluster", "      PIN_GATEWAY_PORTS: 1", "sets nothing"},
		{w.keycloak, w.keycloak + "0", "the tests start"},
		{w.keycloak, "quay.io/keycloak/keycloak:latest", "no exact tag"},
		{`, "--import-realm"`, "", "imports the realm"},
		{"start-dev", "start", "start for trying"},
		{"BOOTSTRAP_ADMIN_USERNAME: admin", "BOOTSTRAP_ADMIN_USERNAME: ''", "administrator"},
		{"${KEYCLOAK_ADMIN_PASSWORD:-}", "admin", "administrator"},
		{"KC_HOSTNAME: http://127.0.0.1:8180", "KC_HOSTNAME: http://localhost:8180", "is known as"},
		{`"127.0.0.1:8180:8080"`, `"127.0.0.1:8181:8080"`, "is known as"},
		{`"127.0.0.1:8180:8080"`, `"8180:8080"`, "not on a loopback address"},
		{"file: ./deploy/keycloak-realm.json", "file: ./deploy/pin-gateway.json", "does not import"},
		{"file: ./deploy/keycloak-realm.json", "file: ./.env", "not one of deploy"},
		{"import/ipfs-realm.json", "ipfs-realm.json", "does not import"},
		{"GET /realms/ipfs ", "GET /health ", "does not ask for the realm"},
	} {
		if !strings.Contains(text, test.old) {
			t.Errorf("docker-compose.yml has no %q to plant a mistake in", test.old)
			continue
		}
		p, err := load(t, strings.Replace(text, test.old, test.planted, 1), "CLUSTER_SECRET="+secret, "KEYCLOAK_ADMIN_PASSWORD="+adminPassword)
		if err != nil {
			t.Errorf("%q in place of %q: %v", test.planted, test.old, err)
			continue
		}
		if found := strings.Join(check(p, w), "\n"); !strings.Contains(found, test.complaint) {
			t.Errorf("%q in place of %q: complaint %q is missing in %q", test.planted, test.old, test.complaint, found)
		}
	}
}

func TestGatewayConfigRulesCanFail(t *testing.T) {
	p, w := mustLoad(t), wanted(t)
	for _, test := range []struct{ old, planted, complaint string }{
		{`"test"`, `"live"`, "without encryption"},
		{`"environment"`, `"environments"`, "is not a setting"},
		{"0.0.0.0:9098", "127.0.0.1:9098", "not reached from outside"},
		{"0.0.0.0:9098", "0.0.0.0:9099", "not exposed"},
		{"http://127.0.0.1:9098", "http://localhost:9098", "is known as"},
		{`["scylla"]`, `["kubo"]`, "no ScyllaDB"},
		{`["scylla"]`, `["scylla2"]`, "does not exist"},
		{"http://cluster:9094", "http://cluster:9097", "no peer has its REST API"},
		{"http://cluster:9094", "http://cluster1:9094", "does not wait for cluster1"},
		{"http://127.0.0.1:8180/realms", "http://keycloak:8080/realms", "Keycloak's are of"},
		{"http://keycloak:8080", "http://127.0.0.1:8180", "fetches keys from"},
		{`"allow_http": true`, `"allow_http": false`, "http"},
		{"/data/pin-gateway/secrets/pepper-1", "pepper-1", "is not in /data/pin-gateway/secrets"},
		{"secrets/session-1.pem", "session-1.pem", "is not in /data/pin-gateway/secrets"},
		{"/data/pin-gateway/audit", "/var/audit", "its records are in"},
	} {
		if !strings.Contains(w.gateway, test.old) {
			t.Errorf("%s has no %q to plant a mistake in", gatewayConfig, test.old)
			continue
		}
		planted := w
		planted.gateway = strings.Replace(w.gateway, test.old, test.planted, 1)
		if found := strings.Join(check(p, planted), "\n"); !strings.Contains(found, test.complaint) {
			t.Errorf("%q in place of %q: complaint %q is missing in %q", test.planted, test.old, test.complaint, found)
		}
	}
}
