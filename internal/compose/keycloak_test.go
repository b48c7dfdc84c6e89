package compose

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/keycloaktest"
)

// commentForm returns what the comment of the compose file posts for a token.
func commentForm(t *testing.T) url.Values {
	t.Helper()
	form := make(url.Values)
	for _, found := range regexp.MustCompile(` -d (\w+)=(\S+)`).FindAllStringSubmatch(source(t), -1) {
		form.Set(found[1], found[2])
	}
	if form.Get("username") != "alice" {
		t.Fatalf("the compose file gets no token for alice: %v", form)
	}
	return form
}

// healthy runs the health check of Keycloak, on another port.
func healthy(t *testing.T, port string) bool {
	t.Helper()
	test := slices.Clone(mustLoad(t).Services["keycloak"].Healthcheck.Test[1:])
	last := len(test) - 1
	test[last] = strings.Replace(test[last], fmt.Sprintf("/dev/tcp/127.0.0.1/%d", keycloakPort), "/dev/tcp/127.0.0.1/"+port, 1)
	cmd := exec.Command(test[0], test[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%v\n%s", err, out)
	}
	return err == nil
}

// TestGatewayHealthOfKeycloak shows that the check tells a Keycloak with the
// realm from one without, and from one that does not answer so.
func TestGatewayHealthOfKeycloak(t *testing.T) {
	for status, want := range map[int]bool{http.StatusOK: true, http.StatusNotFound: false, http.StatusInternalServerError: false} {
		var asked string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.Method + " " + r.URL.Path
			w.WriteHeader(status)
		}))
		_, port := hostPort(server.URL)
		if got := healthy(t, port); got != want {
			t.Errorf("with the status %d: %v, want %v", status, got, want)
		}
		server.Close() // no handler runs any more
		if asked != "GET /realms/ipfs" {
			t.Errorf("it asks %s", asked)
		}
		if healthy(t, port) {
			t.Error("without a server it is healthy")
		}
	}
}

// TestGatewayRealmInKeycloak has a real Keycloak import the realm, and the
// gateway's verifier, as it is configured, take its tokens.
func TestGatewayRealmInKeycloak(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-gateway): it starts a Keycloak")
	}
	c, s := gatewayConfiguration(t), mustLoad(t).Services["keycloak"]
	text := []byte(read(t, realmFile))
	k := keycloaktest.StartRealm(t, text, variables(s)...)
	at, err := url.Parse(k.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	if !healthy(t, at.Port()) {
		t.Error("it is not healthy")
	}
	issuers, err := c.TrustedIssuers()
	if err != nil {
		t.Fatal(err)
	}
	// What has the name keycloak in the network of the containers.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: time.Minute, Transport: network(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != fmt.Sprintf("keycloak:%d", keycloakPort) {
			return nil, fmt.Errorf("no container has the address %s", r.URL.Host)
		}
		r = r.Clone(r.Context())
		r.Host, r.URL.Host = r.URL.Host, at.Host
		return transport.RoundTrip(r)
	})}
	verifier, err := jwt.New(issuers, client, nil)
	if err != nil {
		t.Fatal(err)
	}
	form := commentForm(t)
	for user, want := range realmUsers {
		form.Set("username", user)
		form.Set("password", user+"-pw")
		p, err := verifier.Verify(t.Context(), accessToken(t, k.Issuer(), form))
		if err != nil {
			t.Errorf("%s: %v", user, err)
		} else if p.Tenant != want.tenant || !slices.Contains(p.Roles, want.role) || len(p.Roles) != 1 || !slices.Equal(p.Scopes, []string{"*"}) {
			t.Errorf("%s: tenant %q, roles %q, scopes %q", user, p.Tenant, p.Roles, p.Scopes)
		}
	}

	empty := s
	empty.Environment = map[string]*string{"KC_BOOTSTRAP_ADMIN_USERNAME": s.Environment["KC_BOOTSTRAP_ADMIN_USERNAME"], "KC_BOOTSTRAP_ADMIN_PASSWORD": new(string)}
	if got := startsNot(t, text, empty); !strings.Contains(got, "only when bootstrap admin password is set") {
		t.Errorf("without a password for its administrator Keycloak says %q", got)
	}
}

// network is the network of the containers.
type network func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r) }

// variables returns the environment of a service.
func variables(s service) []string {
	var all []string
	for name := range s.Environment {
		all = append(all, name+"="+s.env(name))
	}
	return all
}

// accessToken gets one.
func accessToken(t *testing.T, issuer string, form url.Values) string {
	t.Helper()
	response, err := http.PostForm(issuer+"/protocol/openid-connect/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token for %s: %s: %s, %v", form.Get("username"), response.Status, answer.Error, err)
	}
	return answer.Token
}

// startsNot returns why Keycloak does not start.
func startsNot(t *testing.T, text []byte, s service) string {
	t.Helper()
	got := endtest.Run(t, func(tb testing.TB) { keycloaktest.StartRealm(tb, text, variables(s)...) })
	return got.Failed + got.Skipped
}
