package keycloaktest

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long skips a test that starts a Keycloak.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-gateway): it starts a Keycloak")
	}
}

// verifier is one of the real rooms, and counts how often it fetches keys.
type verifier struct {
	*jwt.Verifier
	fetches *atomic.Int32
}

func newVerifier(t *testing.T, k *Keycloak) verifier {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	v := verifier{fetches: new(atomic.Int32)}
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/certs") {
			v.fetches.Add(1)
		}
		return transport.RoundTrip(r)
	})}
	var err error
	v.Verifier, err = jwt.New([]jwt.Issuer{{
		URL: k.Issuer(), Audiences: []string{Audience}, Algorithms: []string{"RS256"}, Clients: []string{Client},
		Tenant: jwt.Path{"tenant"}, Tenants: []string{"t1", "t2", "system"},
		Roles: []jwt.Path{{"realm_access", "roles"}}, Scopes: []jwt.Path{{"scopes"}},
		// So short that no fetch is too soon, so long that none is without a cause.
		FetchInterval: time.Nanosecond, RefreshAfter: time.Hour, MaxAge: 3 * time.Hour, AllowHTTP: true,
	}}, client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// passes returns whose a token is that must pass.
func (v verifier) passes(t *testing.T, token string) principal.Principal {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refused fails the test unless a token is refused.
func (v verifier) refused(t *testing.T, what, token string) {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	if refusal := (*principal.Refusal)(nil); !errors.As(err, &refusal) {
		t.Errorf("%s: %+v, %v, want a refusal", what, p, err)
	}
}

func TestKeycloak(t *testing.T) {
	long(t)
	k := Start(t)
	t.Run("users", func(t *testing.T) { testUsers(t, k) })
	t.Run("roles", func(t *testing.T) { testRoles(t, k) })
	t.Run("rotation", func(t *testing.T) { testRotation(t, k) })
	t.Run("outage", func(t *testing.T) { testOutage(t, k) })
}

// Each user has the tenant and the role that the name says.
func testUsers(t *testing.T, k *Keycloak) {
	v := newVerifier(t, k)
	ids := make(map[string]string)
	for _, user := range []string{
		"t1-viewer", "t1-user", "t1-user2", "t1-admin", "t1-auditor", "t2-viewer", "t2-user", "t2-admin", "t2-auditor",
		"system-operator", "system-auditor",
	} {
		tenant, role, _ := strings.Cut(user, "-")
		role = strings.TrimRight(role, "2")
		p := v.passes(t, k.Token(t, user))
		if p.Tenant != tenant || !slices.Equal(p.Roles, []string{role}) || !slices.Equal(p.Scopes, []string{"*"}) {
			t.Errorf("%s: tenant %q, roles %q, scopes %q", user, p.Tenant, p.Roles, p.Scopes)
		}
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%s has the id of %s", user, other)
		}
		ids[p.ID] = user
	}
	p := v.passes(t, k.ServiceToken(t))
	if p.Tenant != "t1" || !slices.Equal(p.Roles, []string{"user"}) || !slices.Equal(p.Scopes, []string{"*"}) {
		t.Errorf("the service: tenant %q, roles %q, scopes %q", p.Tenant, p.Roles, p.Scopes)
	}
	tokens := k.Login(t, "t1-user")
	v.refused(t, "ID token", tokens.ID)
	v.refused(t, "refresh token", tokens.Refresh)
	v.refused(t, "a user without a tenant", k.Token(t, "stranger"))
	v.refused(t, "the administrator of another realm", k.adminToken(t))
	if n := v.fetches.Load(); n != 1 {
		// The refresh token has a key of HMAC, which is not even looked for.
		t.Errorf("keys were fetched %d times, want once", n)
	}
}

// What a user may do changes with the next token.
func testRoles(t *testing.T, k *Keycloak) {
	v := newVerifier(t, k)
	old := k.Token(t, "t2-viewer")
	for _, roles := range [][]string{{"admin", "user"}, {}, {"viewer"}} {
		k.SetRoles(t, "t2-viewer", roles...)
		if p := v.passes(t, k.Token(t, "t2-viewer")); !slices.Equal(p.Roles, roles) || p.Tenant != "t2" {
			t.Errorf("tenant %q, roles %q, want %q", p.Tenant, p.Roles, roles)
		}
	}
	if p := v.passes(t, old); !slices.Equal(p.Roles, []string{"viewer"}) {
		t.Errorf("a token from before has the roles %q", p.Roles)
	}
}

// A new key is learned with its first token. An old one is good until it is removed.
func testRotation(t *testing.T, k *Keycloak) {
	v := newVerifier(t, k)
	first := k.Token(t, "t1-user")
	v.passes(t, first)
	k.RotateKeys(t)
	second := k.Token(t, "t1-user")
	if kid(t, first) == kid(t, second) {
		t.Fatal("the new token has the key of the old one")
	}
	before := v.fetches.Load()
	for range 3 {
		v.passes(t, second)
		v.passes(t, first)
		v.passes(t, k.Token(t, "t2-user"))
	}
	if n := v.fetches.Load() - before; n != 1 {
		t.Errorf("the rotation took %d fetches, want one", n)
	}

	k.RemoveOldKeys(t)
	v.passes(t, second)
	newVerifier(t, k).refused(t, "a token with a key that was removed", first)
	// Who has fetched the old key learns that it is gone with the next one.
	k.RotateKeys(t)
	v.passes(t, k.Token(t, "t1-user"))
	v.refused(t, "a token with a key that was removed long ago", first)
	v.passes(t, second)
}

// While the issuer does not answer, what is known goes on. What is not is no fault of who
// shows it.
func testOutage(t *testing.T, k *Keycloak) {
	v := newVerifier(t, k)
	known := k.Token(t, "t1-user")
	v.passes(t, known)
	k.RotateKeys(t)
	unknown := k.Token(t, "t1-user")

	k.Freeze(t)
	v.passes(t, known)
	p, err := v.Verify(t.Context(), unknown)
	if unavailable := (*principal.Unavailable)(nil); !errors.As(err, &unavailable) {
		t.Errorf("a key that cannot be fetched: %+v, %v, want that it cannot be checked", p, err)
	}
	v.passes(t, known)
	k.Resume(t)

	v.passes(t, unknown)
	v.passes(t, known)
}

func kid(t *testing.T, token string) string {
	t.Helper()
	header, err := jwt.Header(token)
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := header["kid"].(string)
	if kid == "" {
		t.Fatalf("the token has the header %v", header)
	}
	return kid
}

// holderEnv makes TestEndsWithItsProcess the process that is killed.
const holderEnv = "KEYCLOAKTEST_HOLD"

// hold starts a Keycloak and never ends.
func hold(t *testing.T) {
	fmt.Printf("pid %d\n", Start(t).process.PID())
	select {}
}

// A Keycloak does not outlive a process that is killed.
func TestEndsWithItsProcess(t *testing.T) {
	long(t)
	if os.Getenv(holderEnv) != "" {
		hold(t)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(self, "-test.run=^TestEndsWithItsProcess$", "-test.v")
	cmd.Env = append(os.Environ(), holderEnv+"=1", "TMPDIR="+t.TempDir()) // it removes nothing
	cmd.Stdout, cmd.Stderr = in, os.Stderr
	holder, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(holder.Kill)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0; {
		if !lines.Scan() {
			t.Fatal("the other process started no Keycloak: ", lines.Err())
		}
		if text, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if pid, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(lines.Text(), "SKIPPED WITHOUT") {
			unavailable(t, errors.New(lines.Text()))
		}
	}
	if !child.Runs(pid) {
		t.Fatal("Keycloak does not run")
	}
	holder.Kill()
	for deadline := time.Now().Add(time.Minute); child.Runs(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Keycloak runs on: ", syscall.Kill(pid, syscall.SIGKILL))
		}
	}
}
