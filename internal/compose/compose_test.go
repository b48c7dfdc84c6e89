package compose

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An exact tag has three numbers, maybe with a letter before and the name of a
// base image after.
var exactTag = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?$`)

// Where the images of others keep their data.
const (
	scyllaData = "/var/lib/scylla"
	kuboData   = "/data/ipfs"
)

// want is what the compose file has in common with other files.
type want struct {
	scylla, kubo, keycloak string // images
	image                  dockerfile
	gateway, billing       string // their configurations
}

func wanted(t *testing.T) want {
	t.Helper()
	return want{
		scylla: scyllaImage(t), kubo: kuboImage(t), keycloak: keycloakImage(t),
		image: readDockerfile(t), gateway: read(t, gatewayConfig), billing: read(t, billingConfig),
	}
}

func TestCompose(t *testing.T) {
	for _, problem := range check(mustLoad(t), wanted(t)) {
		t.Error(problem)
	}
}

// TestSecretIsRequired shows that no peer starts with a secret that others
// know, and that who has none is told how to make one.
func TestSecretIsRequired(t *testing.T) {
	for _, vars := range [][]string{nil, {"CLUSTER_SECRET="}} {
		_, err := load(t, source(t), vars...)
		if err == nil {
			t.Fatalf("with %q the compose file is accepted", vars)
		}
		if !strings.Contains(err.Error(), "CLUSTER_SECRET") || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("with %q the message does not say how to make CLUSTER_SECRET: %v", vars, err)
		}
	}
}

// TestSecretStaysHere shows that the file that users keep the secret in gets
// neither into the image nor into the repository.
func TestSecretStaysHere(t *testing.T) {
	for file, lines := range map[string][]string{".dockerignore": {".env"}, ".gitignore": {".env", "/.env"}} {
		ignored := strings.Fields(read(t, file))
		if !slices.ContainsFunc(lines, func(line string) bool { return slices.Contains(ignored, line) }) {
			t.Errorf("%s does not name .env", file)
		}
	}
}

// check returns what is wrong with the project.
func check(p project, w want) []string {
	var problems []string
	for name, s := range p.Services {
		complain := func(format string, args ...any) {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		}
		checkService(p, s, complain)
		switch {
		case strings.HasPrefix(name, "scylla"):
			checkScylla(s, w, complain)
		case strings.HasPrefix(name, "kubo"):
			checkKubo(s, w, complain)
		case strings.HasPrefix(name, "cluster"):
			checkPeer(p, name, s, w, complain)
		case name == "gateway":
			checkGateway(p, s, w, complain)
		case name == "billing":
			checkBilling(p, s, w, complain)
		case name == "nats":
			checkNATS(s, complain)
		case name == "keycloak":
			checkKeycloak(p, s, w, complain)
		case slices.Contains(monitoring, name):
			checkMonitoring(p, name, s, complain)
		default:
			complain("no test knows what this service must be like")
		}
	}
	for _, name := range append([]string{"scylla", "kubo", "cluster", "gateway", "keycloak", "nats", "billing"}, monitoring...) {
		s, ok := p.Services[name]
		if !ok {
			problems = append(problems, "there is no service "+name)
		}
		profiles := []string(nil)
		if name == "gateway" || name == "keycloak" {
			profiles = []string{"gateway"}
		} else if name == "nats" || name == "billing" {
			profiles = []string{"billing"}
		} else if slices.Contains(monitoring, name) {
			profiles = []string{"monitoring"}
		}
		if ok && !slices.Equal(s.Profiles, profiles) {
			problems = append(problems, fmt.Sprintf("%s: has the profiles %q, not %q", name, s.Profiles, profiles))
		}
	}
	return problems
}

// checkService checks what is the same for all services.
func checkService(p project, s service, complain func(string, ...any)) {
	if (s.Image == "") == (s.Build == nil) {
		complain("needs either an image or a build, else a registry may serve an image of that name")
	}
	if s.Image != "" && !exactTag.MatchString(s.Image) {
		complain("image %s has no exact tag", s.Image)
	}
	for _, port := range s.Ports {
		if ip, err := netip.ParseAddr(port.HostIP); err != nil || !ip.IsLoopback() {
			complain("port %s is published on %q, not on a loopback address", port.Published, port.HostIP)
		}
	}
	if s.NetworkMode != "" || s.Privileged {
		complain("must not share the host's network or rights")
	}
	if h := s.Healthcheck; h == nil || h.Disable || len(h.Test) < 2 || h.Test[0] == "NONE" {
		complain("has no health check")
	}
	for other, d := range s.DependsOn {
		if d.Condition != "service_healthy" {
			complain("waits for %s to be %s, not healthy", other, d.Condition)
		}
	}
	for _, c := range s.Configs {
		if file := p.Configs[c.Source].File; !path.IsAbs(c.Target) || !strings.Contains(file, "/deploy/") {
			complain("has the file %q at %q, which is not one of deploy, or nowhere", file, c.Target)
		}
	}
	for _, m := range s.Volumes {
		if m.Type == "bind" && m.ReadOnly && isOfMonitoring(m.Source) {
			continue
		}
		if m.Type != "volume" || m.Source == "" {
			complain("%s is not on a named volume", m.Target)
		}
		if _, ok := p.Volumes[m.Source]; !ok {
			complain("volume %s is not declared", m.Source)
		}
		users := 0
		for _, other := range p.Services {
			if slices.ContainsFunc(other.Volumes, func(o mount) bool { return o.Source == m.Source }) {
				users++
			}
		}
		if users > 1 {
			complain("shares its volume %s with another service", m.Source)
		}
	}
}

func checkScylla(s service, w want, complain func(string, ...any)) {
	if s.Image != w.scylla {
		complain("image %s, the tests start %s", s.Image, w.scylla)
	}
	if !slices.Equal(s.Command, []string{"--developer-mode=1", "--smp=1", "--memory=1G", "--overprovisioned=1", "--commitlog-sync=batch"}) {
		complain("flags %q are not those of a small node for developers that acknowledges what is on disk", s.Command)
	}
	if len(s.Ports) > 0 {
		complain("a database without password is reached through its container only")
	}
	checkData(s, scyllaData, complain)
}

func checkKubo(s service, w want, complain func(string, ...any)) {
	if s.Image != w.kubo {
		complain("image %s, tools/kubo builds %s", s.Image, w.kubo)
	}
	if s.Command != nil || s.Entrypoint != nil {
		complain("does not run what its image runs")
	}
	if slices.ContainsFunc(s.Ports, func(p port) bool { return p.Target == 5001 }) {
		complain("publishes port 5001, which rules Kubo and asks no password")
	}
	checkData(s, kuboData, complain)
}

func checkData(s service, dir string, complain func(string, ...any)) {
	if !slices.ContainsFunc(s.Volumes, func(m mount) bool { return m.Target == dir }) {
		complain("keeps %s on no volume", dir)
	}
}

// Variables of a peer that name other services, and those that say where it
// listens.
var (
	kuboVariables   = []string{"CLUSTER_IPFSHTTP_NODEMULTIADDRESS", "CLUSTER_IPFSPROXY_NODEMULTIADDRESS"}
	listenVariables = []string{
		"CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS",
		"CLUSTER_IPFSPROXY_LISTENMULTIADDRESS",
		"CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS",
	}
	dnsAddress    = regexp.MustCompile(`^/dns4/([a-z0-9]+)/tcp/5001$`)
	listenAddress = regexp.MustCompile(`^/ip4/0\.0\.0\.0/tcp/(\d+)$`)
)

func checkPeer(p project, name string, s service, w want, complain func(string, ...any)) {
	if s.Build == nil || s.Build.Dockerfile != "Dockerfile" {
		complain("is not built from the Dockerfile of this repository")
	}
	if s.Command != nil || s.Entrypoint != nil || s.User != "" {
		complain("does not run what its image runs, as its user")
	}
	checkData(s, w.image.data, complain)
	if got := s.env("CLUSTER_SECRET"); got != secret {
		complain("CLUSTER_SECRET is %q, not the one that was given", got)
	}
	if got := s.env("CLUSTER_PEERNAME"); got != name {
		complain("CLUSTER_PEERNAME is %q", got)
	}
	var needs []string
	for host := range strings.SplitSeq(s.env("CLUSTER_SCYLLA_HOSTS"), ",") {
		if !strings.HasPrefix(host, "scylla") {
			complain("CLUSTER_SCYLLA_HOSTS names %q, which is no ScyllaDB", host)
		}
		needs = append(needs, host)
	}
	for _, variable := range kuboVariables {
		if m := dnsAddress.FindStringSubmatch(s.env(variable)); m == nil || !strings.HasPrefix(m[1], "kubo") {
			complain("%s is %q, which is no Kubo's API", variable, s.env(variable))
		} else {
			needs = append(needs, m[1])
		}
	}
	for _, other := range needs {
		checkNeeds(p, s, other, complain)
	}
	checkPeerPorts(s, w, complain)
}

// checkNeeds checks that a service waits for another, which exists.
func checkNeeds(p project, s service, other string, complain func(string, ...any)) {
	if _, ok := p.Services[other]; !ok {
		complain("needs the service %s, which does not exist", other)
	}
	if _, ok := s.DependsOn[other]; !ok {
		complain("does not wait for %s", other)
	}
}

// checkPeerPorts checks that what is published and asked for health is where
// the peer listens.
func checkPeerPorts(s service, w want, complain func(string, ...any)) {
	var listens []int
	for _, variable := range listenVariables {
		m := listenAddress.FindStringSubmatch(s.env(variable))
		if m == nil {
			complain("%s is %q, which is not reached from outside of the container", variable, s.env(variable))
			return
		}
		port, err := strconv.Atoi(m[1])
		if err != nil {
			complain("%s: %v", variable, err)
		}
		listens = append(listens, port)
		if !slices.Contains(w.image.ports, port) {
			complain("listens on %d, which the Dockerfile does not expose", port)
		}
	}
	for _, p := range s.Ports {
		if !slices.Contains(listens, p.Target) || p.Published != strconv.Itoa(p.Target) {
			complain("publishes %s for port %d, the peer listens on %v", p.Published, p.Target, listens)
		}
	}
	if s.Healthcheck == nil || len(s.Healthcheck.Test) == 0 {
		return // complained about already
	}
	test := s.Healthcheck.Test
	u, err := url.Parse(test[len(test)-1])
	if err != nil || u.Host != "127.0.0.1:"+strconv.Itoa(listens[0]) || u.Path != "/id" {
		complain("health check %q does not ask the REST API", test)
	}
}
