package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// withDatabase returns a folder in which init was run, whose database is a real one and empty.
func withDatabase(t *testing.T) string {
	t.Helper()
	server := cqltest.Start(t)
	t.Setenv("PIN_GATEWAY_DATABASE_HOSTS", strings.Join(server.Hosts(), ","))
	t.Setenv("PIN_GATEWAY_DATABASE_PORT", fmt.Sprint(server.Port()))
	t.Setenv("PIN_GATEWAY_DATABASE_KEYSPACE", server.Emptied(t))
	return initialized(t)
}

// verifier is what a gateway with the configuration of a folder verifies keys with.
func verifier(t *testing.T, folder string) *apikey.Verifier {
	t.Helper()
	cfg, err := (&command{configPath: filepath.Join(folder, config.FileName)}).loadConfig()
	must(t, err)
	files, err := cfg.Read()
	must(t, err)
	db, err := keyspace.Open(t.Context(), cfg.Database, nil)
	must(t, err)
	t.Cleanup(db.Close)
	v, err := apikey.NewVerifier(apikey.Config{Env: cfg.Environment, Peppers: *files.Peppers, Store: accounts.NewStore(t.Context(), db), RequireExpiry: true})
	must(t, err)
	return v
}

// passes tells as whom a key passes, and from where.
func passes(v *apikey.Verifier, token, from string) string {
	p, err := v.Verify(context.Background(), strings.TrimSpace(token), netip.MustParseAddr(from))
	if err != nil {
		return "no: " + err.Error()
	}
	return fmt.Sprintf("%s of %s, %v %v", p.ID, p.Tenant, p.Roles, p.Scopes)
}

// TestAccounts is the life of a tenant, its keys and credentials, on a real database.
func TestAccounts(t *testing.T) {
	folder := withDatabase(t)
	mustRun(t, folder, "", "tenant", "create", "--max-pins", "1000", "acme")
	mustRun(t, folder, "", "tenant", "create", "--name", "Globex Inc.", "globex")
	mustRun(t, folder, "", "tenant", "update", "--max-pins", "0", "--max-bytes", "5", "--requests-per-second", "7", "--name", "ACME", "acme")
	tenants := mustRun(t, folder, "", "tenant", "list").stdout
	if !regexp.MustCompile(`^TENANT .*\nglobex +"Globex Inc\." +\S+ +active +none +none +none\nacme +ACME +\S+ +active +none +5 +7\n$`).MatchString(tenants) {
		t.Errorf("the tenants are\n%s", tenants)
	}
	mustRun(t, folder, "", "tenant", "update", "--disabled", "true", "globex")
	if listed := mustRun(t, folder, "", "tenant", "list", "--json").stdout; !strings.Contains(listed, `{"id":"globex","name":"Globex Inc.",`) || !strings.Contains(listed, `"disabled":true,"maxPins":0`) {
		t.Errorf("as JSON the tenants are\n%s", listed)
	}

	made := mustRun(t, folder, "", "key", "create", "--tenant", "acme", "--owner", "ci", "--role", "user,viewer", "--scope", "pins:create, pins:read", "--network", "192.0.2.0/24")
	if !regexp.MustCompile(`^icp_live_\w+\n$`).MatchString(made.stdout) || !strings.Contains(made.stderr, " of ci in the tenant acme, good until 20") {
		t.Fatalf("a key is made so: %+v", made)
	}
	const as = "ci of acme, [user viewer] [pins:create pins:read]"
	if got := passes(verifier(t, folder), made.stdout, "192.0.2.7"); got != as {
		t.Errorf("the key passes as %s", got)
	}
	if got := passes(verifier(t, folder), made.stdout, "198.51.100.7"); !strings.HasPrefix(got, "no: ") {
		t.Errorf("from elsewhere the key passes as %s", got)
	}
	id := strings.Split(made.stdout, "_")[2]
	rotated := mustRun(t, folder, "", "key", "rotate", "--tenant", "acme", "--overlap", "1h", id)
	for _, token := range []string{made.stdout, rotated.stdout} {
		if got := passes(verifier(t, folder), token, "192.0.2.7"); got != as {
			t.Errorf("after the rotation a key passes as %s", got)
		}
	}
	mustRun(t, folder, "", "key", "revoke", "--tenant", "acme", id)
	if got := passes(verifier(t, folder), made.stdout, "192.0.2.7"); !strings.HasPrefix(got, "no: ") {
		t.Errorf("after it was revoked the key passes as %s", got)
	}
	keys := mustRun(t, folder, "", "key", "list", "--tenant", "acme").stdout
	if !regexp.MustCompile(`^KEY .*\n\w+ +ci +good .* pins:create,pins:read +cli:\S+\n` + id + ` +ci +revoked .*\n$`).MatchString(keys) {
		t.Errorf("the keys are\n%s", keys)
	}
	asJSON := mustRun(t, folder, "", "key", "list", "--tenant", "acme", "--json").stdout
	var newest listedKey
	must(t, json.Unmarshal([]byte(strings.Split(asJSON, "\n")[0]), &newest))
	if newest.RotatedFrom != id || newest.Owner != "ci" || newest.Pepper != 1 || len(newest.Networks) != 1 || newest.Expires.IsZero() {
		t.Errorf("as JSON the newest key is %+v", newest)
	}
	for _, token := range []string{made.stdout, rotated.stdout} {
		secret := strings.Split(token, "_")[3]
		if strings.Contains(keys+asJSON+made.stderr+rotated.stderr, secret) {
			t.Error("a secret is shown where it does not belong")
		}
	}

	const did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
	mustRun(t, folder, "", "credential", "add", "--tenant", "acme", "--principal", "ursula", "--role", "user", "--scope", "pins:*", did)
	if listed := mustRun(t, folder, "", "credential", "list", "--tenant", "acme", "--principal", "ursula").stdout; !regexp.MustCompile(`^CREDENTIAL .*\n` + did + ` +user +pins:\* .* cli:\S+\n$`).MatchString(listed) {
		t.Errorf("the credentials are\n%s", listed)
	}
	checkRefused(t, folder, []refusal{
		{args: []string{"tenant", "create", "acme"}, want: `making the tenant: tenant "acme": it exists already`},
		{args: []string{"tenant", "create", "--max-pins", "-1", "x"}, want: `making the tenant: max_pins: -1 is negative`},
		{args: []string{"tenant", "update", "--name", "x", "nobody"}, want: `reading the tenant: tenant "nobody": there is no such thing`},
		{args: []string{"tenant", "update", "--disabled", "maybe", "acme"}, want: `reading --disabled: "maybe" is neither true nor false`},
		{args: []string{"tenant", "recount", "nobody"}, want: `reading the tenant: tenant "nobody": there is no such thing`},
		{args: []string{"key", "create", "--tenant", "globex", "--owner", "o", "--scope", "*"}, want: `making a key: tenant: it is disabled`},
		{args: []string{"key", "create", "--tenant", "nobody", "--owner", "o", "--scope", "*"}, want: `making a key: tenant "nobody": there is no such thing`},
		{args: []string{"key", "create", "--tenant", "acme", "--owner", "o", "--scope", "*", "--days", "0"}, want: `making a key: api_keys.require_expiry is true, so that gateways refuse a key that does not end: use --days`},
		{args: []string{"credential", "add", "--tenant", "acme", "--principal", "adam", did}, want: `adding the credential: credential "` + did + `": it exists already`},
	})
	for _, args := range [][]string{
		{"key", "revoke", "--tenant", "globex", id}, {"key", "rotate", "--tenant", "globex", id}, {"credential", "remove", "--tenant", "globex", did},
	} {
		if got := run(t, folder, "", args...); got.code != 1 || !strings.HasSuffix(got.stderr, ": there is no such thing\n") {
			t.Errorf("%v, of another tenant: %+v", args, got)
		}
	}
	mustRun(t, folder, "", "credential", "remove", "--tenant", "acme", did)
	if listed := mustRun(t, folder, "", "credential", "list", "--tenant", "acme", "--principal", "ursula", "--json").stdout; listed != "" {
		t.Errorf("after it was removed the credentials are\n%s", listed)
	}
}

// TestAccountsRefusals needs no database: what is wrong is told before one is asked.
func TestAccountsRefusals(t *testing.T) {
	folder := initialized(t)
	t.Setenv("PIN_GATEWAY_DATABASE_PORT", "1") // nobody's
	checkRefused(t, folder, []refusal{
		{args: []string{"tenant", "create"}, want: "reading the arguments: name the tenant, see pin-gateway tenant create --help"},
		{args: []string{"tenant", "create", "a", "--name", "x", "b"}, want: `reading the arguments: "b" is one too many, see pin-gateway tenant create --help`},
		{args: []string{"tenant", "update", "a"}, want: "reading the command line: no flag says what to change, see pin-gateway tenant update --help"},
		{args: []string{"tenant", "update", "--name", "x"}, want: "reading the arguments: name the tenant, see pin-gateway tenant update --help"},
		{args: []string{"tenant", "recount"}, want: "reading the arguments: name the tenant, see pin-gateway tenant recount --help"},
		{args: []string{"tenant", "list", "x"}, want: `reading the arguments: "x" is not one, see pin-gateway tenant list --help`},
		{args: []string{"key", "create", "--owner", "o", "--scope", "*"}, want: "reading the command line: --tenant is needed, see pin-gateway key create --help"},
		{args: []string{"key", "create", "--tenant", "t", "--scope", "*"}, want: "reading the command line: --owner is needed, see pin-gateway key create --help"},
		{args: []string{"key", "create", "--tenant", "t", "--owner", "o"}, want: "reading the command line: without --scope a key is good for nothing"},
		{args: []string{"key", "create", "--tenant", "t", "--owner", "o", "--scope", "*", "--network", "192.0.2.1"}, want: `reading --network: "192.0.2.1" is not a network, such as 192.0.2.0/24`},
		{args: []string{"key", "create", "--tenant", "t", "--owner", "o", "--scope", "*", "--days", "367"}, want: "reading --days: 367 is not 0 to 366"},
		{args: []string{"key", "create", "--tenant", "t", "--owner", "o", "--scope", "*", "--days", "-1"}, want: "reading --days: -1 is not 0 to 366"},
		{args: []string{"key", "list"}, want: "reading the command line: --tenant is needed, see pin-gateway key list --help"},
		{args: []string{"key", "revoke", "--tenant", "t"}, want: "reading the arguments: name the key, by its id, see pin-gateway key revoke --help"},
		{args: []string{"key", "rotate", "id"}, want: "reading the command line: --tenant is needed, see pin-gateway key rotate --help"},
		{args: []string{"credential", "add", "--tenant", "t", "did:key:z"}, want: "reading the command line: --principal is needed, see pin-gateway credential add --help"},
		{args: []string{"credential", "list", "--tenant", "t"}, want: "reading the command line: --principal is needed, see pin-gateway credential list --help"},
		{args: []string{"tenant", "update", "--json", "a"}, want: "reading the command line: no flag says what to change, see pin-gateway tenant update --help"},
		{args: []string{"tenant", "show"}, want: "reading the arguments: name the tenant, see pin-gateway tenant show --help"},
		{args: []string{"principal", "revoke", "x"}, want: "reading the command line: --tenant is needed, see pin-gateway principal revoke --help"},
		{args: []string{"principal", "revoke", "--tenant", "t"}, want: "reading the arguments: name the principal, see pin-gateway principal revoke --help"},
		{args: []string{"credential", "remove", "did:key:z"}, want: "reading the command line: --tenant is needed, see pin-gateway credential remove --help"},
	})
	t.Setenv("PIN_GATEWAY_API_KEYS_PEPPERS", "[]")
	checkRefused(t, folder, []refusal{{args: []string{"key", "create", "--tenant", "t", "--owner", "o", "--scope", "*"}, want: "DIR/pin-gateway.json has no api_keys.peppers, so that there are no keys"}})
}
