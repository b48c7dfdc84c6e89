package keycloaktest

import (
	"context"
	_ "embed" // for the realm
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// The times that a start may take, with the making of what it needs and without.
const (
	getTimeout   = 10 * time.Minute
	startTimeout = 3 * time.Minute
)

// What the client of the realm is. Its tokens are for itself.
const (
	Client       = "pinning-api"
	ClientSecret = "test-secret"
	Audience     = Client
)

const (
	adminUser     = "admin"
	adminPassword = "admin-pw"
)

//go:embed testdata/realm.json
var realm []byte

// Keycloak is an issuer that runs. Its methods may be called from several goroutines; one
// at a time changes keys, or the roles of a user.
type Keycloak struct {
	process *child.Process
	url     string
	http    *http.Client
}

// Start starts a Keycloak of the test's own, which ends with it.
func Start(tb testing.TB) *Keycloak {
	tb.Helper()
	return StartRealm(tb, realm)
}

// StartRealm starts a Keycloak with another realm that has the name "ipfs", and with
// variables in its environment. Methods that need users, the client or the administrator
// of Start work only where these are the same.
func StartRealm(tb testing.TB, realm []byte, variables ...string) *Keycloak {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), getTimeout)
	defer cancel()
	java, err := findJava()
	if err != nil {
		unavailable(tb, err)
	}
	home, err := findHome(ctx, java)
	if err != nil {
		unavailable(tb, err)
	}
	k, err := startIn(tb, java, home, realm, variables)
	if err != nil {
		unavailable(tb, err)
	}
	return k
}

// unavailable ends a test that has no Keycloak.
func unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("KEYCLOAK_REQUIRED") == "1" {
		tb.Fatalf("no Keycloak, and KEYCLOAK_REQUIRED=1: %v", err)
	}
	tb.Skipf("SKIPPED WITHOUT A KEYCLOAK (KEYCLOAK_REQUIRED=1 makes this a failure): %v", err)
}

// startIn starts the Keycloak of a home, which it does not write to, in a directory of the
// test.
func startIn(tb testing.TB, java, home string, realm []byte, variables []string) (*Keycloak, error) {
	tb.Helper()
	dir := tb.TempDir()
	if err := prepare(dir, home, realm); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("make the log of Keycloak: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(java, command(dir, "start", "--optimized", "--import-realm",
		"--http-enabled=true", "--http-host=127.0.0.1", "--http-port=0", "--hostname-strict=false", "--cache=local")...)
	cmd.Env = append(environ(), "KC_BOOTSTRAP_ADMIN_USERNAME="+adminUser, "KC_BOOTSTRAP_ADMIN_PASSWORD="+adminPassword)
	cmd.Env = append(cmd.Env, variables...) // the last one of a name counts
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	// It ends before the test's directory is removed, and also if it is frozen.
	tb.Cleanup(process.Kill)
	url, err := waitListening(tb.Context(), process, log.Name())
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: startTimeout}
	tb.Cleanup(client.CloseIdleConnections)
	return &Keycloak{process: process, url: url, http: client}, nil
}

// prepare fills the directory of one Keycloak: what it reads from its home, and the realm
// that it imports.
func prepare(dir, home string, realm []byte) error {
	entries, err := os.ReadDir(home)
	if err != nil {
		return fmt.Errorf("read the home of Keycloak: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == "data" {
			continue
		}
		if err := os.Symlink(filepath.Join(home, entry.Name()), filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("make the directory of Keycloak: %w", err)
		}
	}
	imports := filepath.Join(dir, "data", "import")
	if err := os.MkdirAll(imports, 0o700); err != nil {
		return fmt.Errorf("make the directory of Keycloak: %w", err)
	}
	if err := os.WriteFile(filepath.Join(imports, "realm.json"), realm, 0o600); err != nil {
		return fmt.Errorf("write the realm of Keycloak: %w", err)
	}
	return nil
}

// environ returns the environment without what would configure a Keycloak.
func environ() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "KC_") && !strings.HasPrefix(variable, "QUARKUS_") {
			env = append(env, variable)
		}
	}
	return env
}

// waitListening waits until a Keycloak says in its log where it listens.
func waitListening(ctx context.Context, process *child.Process, log string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	listening := regexp.MustCompile(`Listening on: (http://127\.0\.0\.1:\d+)\s`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(log)
		if err != nil {
			return "", fmt.Errorf("read the log of Keycloak: %w", err)
		}
		if found := listening.FindSubmatch(text); found != nil {
			return string(found[1]), nil
		}
		select {
		case <-tick.C:
		case <-process.Exited():
			// What it wrote last may not have been read.
			text, err := os.ReadFile(log)
			return "", fmt.Errorf("Keycloak has ended: %w; its log:\n%s", errors.Join(process.Wait(), err), text)
		case <-ctx.Done():
			return "", fmt.Errorf("Keycloak does not listen: %w; its log:\n%s", ctx.Err(), text)
		}
	}
}

// Issuer is the URL of the issuer: the claim iss of its tokens, unless KC_HOSTNAME is set.
func (k *Keycloak) Issuer() string { return k.url + "/realms/ipfs" }

// Freeze stops the process with SIGSTOP, for an outage: it takes connections and answers
// nothing.
func (k *Keycloak) Freeze(tb testing.TB) { k.signal(tb, syscall.SIGSTOP) }

// Resume lets a frozen Keycloak go on.
func (k *Keycloak) Resume(tb testing.TB) { k.signal(tb, syscall.SIGCONT) }

func (k *Keycloak) signal(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	if err := k.process.Signal(signal); err != nil {
		tb.Fatal(err)
	}
}
