package compose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// Users of the realm, and what each is.
var realmUsers = map[string]struct{ tenant, role string }{
	"alice":    {"demo", "user"},
	"eve":      {"demo", "viewer"},
	"operator": {authz.SystemTenant, "operator"},
}

// realm is what the tests look at of deploy/keycloak-realm.json.
type realm struct {
	Realm   string `json:"realm"`
	Enabled bool   `json:"enabled"`
	Life    int    `json:"accessTokenLifespan"` // s
	Clients []struct {
		ID      string            `json:"clientId"`
		Enabled bool              `json:"enabled"`
		Public  bool              `json:"publicClient"`
		Direct  bool              `json:"directAccessGrantsEnabled"`
		Browser bool              `json:"standardFlowEnabled"`
		Mappers []json.RawMessage `json:"protocolMappers"`
	} `json:"clients"`
	Users []struct {
		Name        string              `json:"username"`
		Enabled     bool                `json:"enabled"`
		Attributes  map[string][]string `json:"attributes"`
		Roles       []string            `json:"realmRoles"`
		Credentials []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"credentials"`
	} `json:"users"`
}

// checkRealm returns what is wrong with the text of a realm, for a gateway that
// trusts it as c says. TestGatewayRealmInKeycloak asks Keycloak itself.
func checkRealm(text string, c config.Config) []string {
	var r realm
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return []string{err.Error()}
	}
	var problems []string
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	issuer := c.Issuers[0]
	if !r.Enabled || !strings.HasSuffix(issuer.URL, "/realms/"+r.Realm) {
		complain("the realm %q is not that of %s, or not enabled", r.Realm, issuer.URL)
	}
	if r.Life < 60 || r.Life > 3600 {
		complain("tokens are good for %d s, not for what the compose file says", r.Life)
	}
	if len(r.Clients) != 1 || !slices.Equal(issuer.Clients, []string{r.Clients[0].ID}) {
		complain("the clients are not those of the gateway")
	} else if client := r.Clients[0]; !client.Enabled || !client.Public || !client.Direct || client.Browser || len(client.Mappers) != 3 {
		complain("the client %s is not one that everybody may get tokens with, by password alone, with three claims", client.ID)
	}
	if len(r.Users) != len(realmUsers) {
		complain("there are %d users", len(r.Users))
	}
	for _, user := range r.Users {
		want := realmUsers[user.Name]
		if !user.Enabled || !slices.Equal(user.Attributes["tenant"], []string{want.tenant}) || !slices.Equal(user.Roles, []string{want.role}) {
			complain("%s has the tenants %q and the roles %q", user.Name, user.Attributes["tenant"], user.Roles)
		}
		if !slices.Contains(issuer.Tenants, want.tenant) {
			complain("the gateway takes nobody of %s", want.tenant)
		}
		if len(user.Credentials) != 1 || user.Credentials[0].Value != user.Name+"-pw" {
			complain("%s has not the password that the compose file says", user.Name)
		}
	}
	return problems
}

func gatewayConfiguration(t *testing.T) config.Config {
	t.Helper()
	c, err := parseGateway(read(t, gatewayConfig), mustLoad(t).Services["gateway"])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGatewayRealm(t *testing.T) {
	text, c := read(t, realmFile), gatewayConfiguration(t)
	for _, problem := range checkRealm(text, c) {
		t.Error(problem)
	}
	for _, test := range []struct{ old, planted, complaint string }{
		{`"realm": "ipfs"`, `"realm": "demo"`, "is not that of"},
		{`"enabled": true`, `"enabled": false`, "not enabled"},
		{"3600", "86400", "good for"},
		{`"clientId": "pinning-api"`, `"clientId": "web"`, "not those of the gateway"},
		{`"publicClient": true`, `"publicClient": false, "secret": "s"`, "everybody may get tokens with"},
		{`"standardFlowEnabled": false`, `"standardFlowEnabled": true`, "by password alone"},
		{`["demo"]`, `["system"]`, "alice has the tenants"},
		{`"realmRoles": ["viewer"]`, `"realmRoles": ["admin"]`, "eve has the tenants"},
		{`"operator-pw"`, `"pw"`, "operator has not the password"},
		{`"username": "eve"`, `"username": "mallory"`, "mallory"},
	} {
		if found := strings.Join(checkRealm(strings.Replace(text, test.old, test.planted, 1), c), "\n"); !strings.Contains(found, test.complaint) {
			t.Errorf("%q in place of %q: complaint %q is missing in %q", test.planted, test.old, test.complaint, found)
		}
	}
}
