package keycloaktest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

// SetRoles gives a user these roles of the realm and takes all others away. Tokens that the
// user has already keep what they say.
func (k *Keycloak) SetRoles(tb testing.TB, user string, roles ...string) {
	tb.Helper()
	var users []struct{ ID string }
	k.admin(tb, http.MethodGet, "users?exact=true&username="+url.QueryEscape(user), nil, &users)
	if len(users) != 1 {
		tb.Fatalf("%d users have the name %q", len(users), user)
	}
	mappings := "users/" + users[0].ID + "/role-mappings/realm"
	var old []json.RawMessage
	k.admin(tb, http.MethodGet, mappings, nil, &old)
	if len(old) > 0 {
		k.admin(tb, http.MethodDelete, mappings, old, nil)
	}
	added := make([]json.RawMessage, len(roles))
	for i, role := range roles {
		k.admin(tb, http.MethodGet, "roles/"+url.PathEscape(role), nil, &added[i])
	}
	if len(added) > 0 {
		k.admin(tb, http.MethodPost, mappings, added, nil)
	}
}

// component is what makes keys.
type component struct {
	ID           string              `json:"id,omitempty"`
	Name         string              `json:"name"`
	ParentID     string              `json:"parentId"`
	ProviderID   string              `json:"providerId"`
	ProviderType string              `json:"providerType"`
	Config       map[string][]string `json:"config"`
}

// What makes the RSA keys that tokens are signed with.
const (
	keyType     = "org.keycloak.keys.KeyProvider"
	keyProvider = "rsa-generated"
)

func (c component) priority() int {
	if len(c.Config["priority"]) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(c.Config["priority"][0]) // Keycloak takes nothing else
	return n
}

// signers returns what makes the keys, the one that signs first.
func (k *Keycloak) signers(tb testing.TB) []component {
	tb.Helper()
	var all []component
	k.admin(tb, http.MethodGet, "components?type="+keyType, nil, &all)
	signers := slices.DeleteFunc(all, func(c component) bool { return c.ProviderID != keyProvider })
	slices.SortFunc(signers, func(a, b component) int { return b.priority() - a.priority() })
	if len(signers) == 0 {
		tb.Fatal("Keycloak has no key to sign with")
	}
	return signers
}

// RotateKeys makes a new key, which signs all tokens from now on. The old ones are
// published on.
func (k *Keycloak) RotateKeys(tb testing.TB) {
	tb.Helper()
	now := k.signers(tb)[0]
	priority := strconv.Itoa(now.priority() + 1)
	k.admin(tb, http.MethodPost, "components", component{
		Name: "key-" + priority, ParentID: now.ParentID, ProviderID: keyProvider, ProviderType: keyType,
		Config: map[string][]string{
			"priority": {priority}, "enabled": {"true"}, "active": {"true"}, "algorithm": {"RS256"}, "keySize": {"2048"},
		},
	}, nil)
}

// RemoveOldKeys removes all keys but the one that signs.
func (k *Keycloak) RemoveOldKeys(tb testing.TB) {
	tb.Helper()
	for _, old := range k.signers(tb)[1:] {
		k.admin(tb, http.MethodDelete, "components/"+old.ID, nil, nil)
	}
}

// admin makes a request to the administration of the realm, with a body that may be nil,
// and reads the answer into what may be nil.
func (k *Keycloak) admin(tb testing.TB, method, path string, body, into any) {
	tb.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			tb.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, k.url+"/admin/realms/ipfs/"+path, bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+k.adminToken(tb))
	request.Header.Set("Content-Type", "application/json")
	if err := k.do(request, into); err != nil {
		tb.Fatal(err)
	}
}
