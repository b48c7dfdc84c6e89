package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAllAtOnce: nobody starts it five times to learn five mistakes.
func TestAllAtOnce(t *testing.T) {
	_, err := Parse([]byte(`{"listen": "x", "environment": "y", "audit": {"folder": "f"}}`), "", []string{"PIN_GATEWAY_PEERS_URLS=z"})
	want := `5 settings are wrong:
  listen "x" is not an address and a port: write it as in 127.0.0.1:9098
  environment "y" is unknown: use "live" or "test"
  peers.urls[0] (PIN_GATEWAY_PEERS_URLS) is not a URL: write it as in http://host:port
  issuers is empty, and there is nothing else by which anybody could come: set issuers, api_keys, did or siwe
  audit.key_file is empty: name a file with a key, which signs checkpoints of the records`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 5 || problems[2].Variable != "PIN_GATEWAY_PEERS_URLS" || problems[2].Advice != "write it as in http://host:port" {
		t.Errorf("as values: %+v", problems)
	}
}

// TestExample loads what init writes, with its files.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	files, err := Example(FileName)
	must(t, err)
	for _, f := range files {
		must(t, os.WriteFile(filepath.Join(dir, f.Name), f.Text, 0o600))
	}
	c, err := Load(filepath.Join(dir, FileName), nil)
	must(t, err)
	read, err := c.Read()
	must(t, err)
	if read.Peppers == nil || len(read.SessionKeys) != 1 || len(read.AuditKey) == 0 || read.Certificate != nil {
		t.Error("the example lacks something")
	}
	// What it does not name has its default, and what it names is the default, but for
	// what nobody can go without.
	want := Default()
	want.Folder, want.Database.Folder = dir, dir
	want.APIKeys.Peppers, want.DID.Enabled = []Pepper{{1, "pepper-1"}}, true
	want.Sessions.Keys = []SessionKey{{ID: "1", File: "session-1.pem"}}
	want.Audit.Folder, want.Audit.KeyFile = "audit", "audit.pem"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example is\n%+v\nwant\n%+v", c, want)
	}
	again, err := Example(FileName)
	must(t, err)
	for i := range files[1:] {
		if string(files[i+1].Text) == string(again[i+1].Text) {
			t.Errorf("%s is the same twice", files[i+1].Name)
		}
	}
}

// TestJSON: what is printed is a configuration again, the same.
func TestJSON(t *testing.T) {
	c := good()
	c.Sessions.Keys[0].From = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	c.Database.Replication = map[string]int{"dc1": 3}
	text, err := c.JSON()
	must(t, err)
	back, err := Parse(text, "", nil)
	must(t, err)
	if !reflect.DeepEqual(back, c) {
		t.Errorf("comes back as\n%+v\nwant\n%+v", back, c)
	}
	if strings.Contains(string(text), "0001-01-01") {
		t.Error("a time that nobody has set is written")
	}
}

func TestLoadWithoutFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, FileName)
	if _, err := Load(name, nil); err == nil || err.Error() != "there is no configuration "+name+`: "pin-gateway init" writes one, --config names another` {
		t.Error(err)
	}
	must(t, os.WriteFile(name, []byte(strings.Repeat(" ", 1<<20+1)), 0o600))
	if _, err := Load(name, nil); err == nil || !strings.Contains(err.Error(), "has more than 1048576 bytes") {
		t.Error(err)
	}
	must(t, os.WriteFile(name, []byte(`{"listen": 1}`), 0o600))
	if _, err := Load(name, nil); err == nil || err.Error() != name+`: listen is not a text: write it as in "text"` {
		t.Error(err)
	}
}

// TestTrustedIssuers: nothing of an issuer gets lost on its way to who verifies tokens.
func TestTrustedIssuers(t *testing.T) {
	c := good()
	c.Issuers = []Issuer{{
		URL: "https://id/", Audiences: []string{"a"}, Algorithms: []string{"ES256"}, Clients: []string{"c"}, TenantClaim: "/x/tenant",
		Tenants: []string{"t"}, RolesClaims: []string{"/r/roles", "https://ns/roles"}, GroupsClaims: []string{"g"}, ScopesClaims: []string{"scope"},
		MFAClaim: "/x/acr", MFAValues: []string{"2"}, MaxLifetime: Duration(time.Hour), JWKSURL: "https://id/keys", RefreshAfter: Duration(time.Minute), MaxAge: Duration(2 * time.Hour),
	}, {URL: "http://id2", Audiences: []string{"b"}, FixedTenant: "f", AllowHTTP: true}, {URL: "https://id3", Audiences: []string{"b"}, TenantClaim: "t", AnyTenant: true}}
	c.Environment = Test
	must(t, c.Validate())
	got, err := c.TrustedIssuers()
	must(t, err)
	want := []jwt.Issuer{{
		URL: "https://id/", Audiences: []string{"a"}, Algorithms: []string{"ES256"}, Clients: []string{"c"}, Tenant: jwt.Path{"x", "tenant"},
		Tenants: []string{"t"}, Roles: []jwt.Path{{"r", "roles"}, {"https://ns/roles"}}, Groups: []jwt.Path{{"g"}}, Scopes: []jwt.Path{{"scope"}},
		MFA: jwt.Path{"x", "acr"}, MFAValues: []string{"2"}, MaxLifetime: time.Hour, JWKS: "https://id/keys", RefreshAfter: time.Minute, MaxAge: 2 * time.Hour,
	}, {URL: "http://id2", Audiences: []string{"b"}, Algorithms: []string{"RS256"}, FixedTenant: "f", AllowHTTP: true},
		{URL: "https://id3", Audiences: []string{"b"}, Algorithms: []string{"RS256"}, Tenant: jwt.Path{"t"}, AnyTenant: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestProxies(t *testing.T) {
	c := good()
	c.TrustedProxies = []string{"10.1.2.3/8", "192.0.2.1", "2001:db8::1"}
	var got []string
	for _, network := range c.Proxies() {
		got = append(got, network.String())
	}
	if want := []string{"10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128"}; !slices.Equal(got, want) {
		t.Errorf("the networks are %v, want %v", got, want)
	}
}

// FuzzParse: what is read is valid, and is read again from what is printed.
func FuzzParse(f *testing.F) {
	f.Add(string(example))
	for _, c := range []Config{good(), Default()} {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text), "", nil)
		var problems Problems
		if err != nil {
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Errorf("not problems: %v", err)
			}
			return
		}
		must(t, c.Validate())
		printed, err := c.JSON()
		must(t, err)
		if _, err := Parse(printed, "", nil); err != nil {
			t.Errorf("%s\nis printed as\n%s\nwhich is refused: %v", text, printed, err)
		}
	})
}
