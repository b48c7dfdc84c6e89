package compose

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// Files of the gateway and of Keycloak, in the checkout.
const (
	gatewayScript = "deploy/gateway-entrypoint.sh"
	gatewayConfig = "deploy/pin-gateway.json"
	realmFile     = "deploy/keycloak-realm.json"
)

// drain is how long the gateway takes at most to end (docs/gateway.md).
const drain = 20 * time.Second

// Of the image of Keycloak.
const (
	keycloakPort   = 8080
	keycloakImport = "/opt/keycloak/data/import/"
)

// parseGateway reads the configuration as the gateway of s does.
func parseGateway(text string, s service) (config.Config, error) {
	var environ []string
	for name := range s.Environment {
		environ = append(environ, name+"="+s.env(name))
	}
	return config.Parse([]byte(text), "/etc", environ)
}

func checkGateway(p project, s service, w want, complain func(string, ...any)) {
	if s.Build == nil || s.Build.Dockerfile != "Dockerfile" {
		complain("is not built from the Dockerfile of this repository")
	}
	if !slices.Equal(s.Entrypoint, []string{w.image.copies[gatewayScript]}) || !slices.Equal(s.Command, []string{"serve"}) || s.User != "" {
		complain("does not run %s as the user of the image: %q %q", gatewayScript, s.Entrypoint, s.Command)
	}
	checkData(s, w.image.env["GATEWAY_PATH"], complain)
	if grace, err := time.ParseDuration(s.StopGrace); err != nil || grace <= drain {
		complain("is killed after %q, and answers what was begun for %s", s.StopGrace, drain)
	}
	c, err := parseGateway(w.gateway, s)
	if err != nil {
		complain("%s: %v", gatewayConfig, err)
		return
	}
	checkGatewayFiles(c, w, complain)
	checkGatewayPorts(c, s, w, complain)
	for _, host := range c.Database.Hosts {
		if !strings.HasPrefix(host, "scylla") {
			complain("its database is %q, which is no ScyllaDB", host)
		}
		checkNeeds(p, s, host, complain)
	}
	for _, peer := range c.Peers.URLs {
		host, port := hostPort(peer)
		listens := listenAddress.FindStringSubmatch(p.Services[host].env("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS"))
		if !strings.HasPrefix(host, "cluster") || listens == nil || listens[1] != port {
			complain("its peer is %s, where no peer has its REST API", peer)
		}
		checkNeeds(p, s, host, complain)
	}
	checkIssuer(p, c, complain)
}

// checkGatewayFiles checks that all files are where the start script makes
// them, or in the volume for records.
func checkGatewayFiles(c config.Config, w want, complain func(string, ...any)) {
	data := w.image.env["GATEWAY_PATH"]
	secrets := []string{c.Audit.KeyFile}
	for _, pepper := range c.APIKeys.Peppers {
		secrets = append(secrets, pepper.File)
	}
	for _, key := range c.Sessions.Keys {
		secrets = append(secrets, key.File)
	}
	for _, file := range secrets {
		if path.Dir(file) != data+"/secrets" {
			complain("its secret %s is not in %s/secrets", file, data)
		}
	}
	if path.Dir(c.Audit.Folder) != data {
		complain("its records are in %s, not in %s", c.Audit.Folder, data)
	}
}

// checkGatewayPorts checks that it is published, known to clients, and asked
// for health where it listens.
func checkGatewayPorts(c config.Config, s service, w want, complain func(string, ...any)) {
	host, text, err := net.SplitHostPort(c.Listen)
	port, convErr := strconv.Atoi(text)
	if err != nil || convErr != nil || host != "0.0.0.0" || !slices.Contains(w.image.ports, port) {
		complain("listens on %s, which is not reached from outside of the container, or not exposed by the Dockerfile", c.Listen)
		return
	}
	if len(s.Ports) != 1 || s.Ports[0].Target != port || c.PublicURL != "http://127.0.0.1:"+s.Ports[0].Published {
		complain("is known as %s and listens on %d, and publishes %v", c.PublicURL, port, s.Ports)
	}
	if s.Healthcheck == nil || len(s.Healthcheck.Test) == 0 {
		return // complained about already
	}
	test := s.Healthcheck.Test
	if want := fmt.Sprintf("http://127.0.0.1:%d/health", port); test[len(test)-1] != want {
		complain("health check %q does not ask %s", test, want)
	}
}

// checkIssuer checks that tokens of Keycloak are those that the gateway takes.
func checkIssuer(p project, c config.Config, complain func(string, ...any)) {
	k := p.Services["keycloak"]
	if len(c.Issuers) != 1 {
		complain("takes tokens of %d issuers, not of Keycloak alone", len(c.Issuers))
		return
	}
	issuer := c.Issuers[0]
	if want := k.env("KC_HOSTNAME") + "/realms/ipfs"; issuer.URL != want {
		complain("takes tokens of %s, Keycloak's are of %s", issuer.URL, want)
	}
	if want := fmt.Sprintf("http://keycloak:%d/realms/ipfs/protocol/openid-connect/certs", keycloakPort); issuer.JWKSURL != want {
		complain("fetches keys from %q, not from %s", issuer.JWKSURL, want)
	}
}

func checkKeycloak(p project, s service, w want, complain func(string, ...any)) {
	if s.Image != w.keycloak {
		complain("image %s, the tests start %s", s.Image, w.keycloak)
	}
	if s.Entrypoint != nil || !slices.Equal(s.Command, []string{"start-dev", "--import-realm"}) {
		complain("runs %q %q, which is not a start for trying that imports the realm", s.Entrypoint, s.Command)
	}
	// It refuses to start with a name and no password.
	if s.env("KC_BOOTSTRAP_ADMIN_USERNAME") == "" || s.env("KC_BOOTSTRAP_ADMIN_PASSWORD") != adminPassword {
		complain("its administrator %q has not the password that was given", s.env("KC_BOOTSTRAP_ADMIN_USERNAME"))
	}
	if len(s.Ports) != 1 || s.Ports[0].Target != keycloakPort || s.env("KC_HOSTNAME") != "http://127.0.0.1:"+s.Ports[0].Published {
		complain("is known as %q, and publishes %v", s.env("KC_HOSTNAME"), s.Ports)
	}
	if len(s.Configs) != 1 || path.Dir(s.Configs[0].Target)+"/" != keycloakImport || path.Ext(s.Configs[0].Target) != ".json" ||
		!strings.HasSuffix(p.Configs[s.Configs[0].Source].File, "/"+realmFile) {
		complain("does not import %s: %v", realmFile, s.Configs)
	}
	if s.Healthcheck == nil || len(s.Healthcheck.Test) == 0 {
		return // complained about already
	}
	test := s.Healthcheck.Test
	if ask := test[len(test)-1]; !strings.Contains(ask, fmt.Sprintf("/dev/tcp/127.0.0.1/%d ", keycloakPort)) || !strings.Contains(ask, "GET /realms/ipfs ") {
		complain("health check %q does not ask for the realm", test)
	}
}

// hostPort returns what a URL names, or nothing.
func hostPort(text string) (host, port string) {
	u, err := url.Parse(text)
	if err != nil {
		return "", ""
	}
	return u.Hostname(), u.Port()
}

// TestGatewayAdministrator shows that Keycloak has no password that others
// know, and that who does not run it needs none.
func TestGatewayAdministrator(t *testing.T) {
	for _, vars := range [][]string{{"CLUSTER_SECRET=" + secret}, {"CLUSTER_SECRET=" + secret, "KEYCLOAK_ADMIN_PASSWORD="}} {
		p, err := load(t, source(t), vars...)
		if err != nil {
			t.Errorf("with %d variables: %v", len(vars), err)
		} else if got, ok := p.Services["keycloak"].Environment["KC_BOOTSTRAP_ADMIN_PASSWORD"]; !ok || got == nil || *got != "" {
			t.Error("Keycloak has a password that nobody has given")
		}
	}
	if !strings.Contains(source(t), "KEYCLOAK_ADMIN_PASSWORD=$(openssl rand -hex 16)") {
		t.Error("the compose file does not say how to make the password")
	}
}
