package keycloaktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Tokens are what a login gives. Only Access is one to show to an API.
type Tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// Login logs a user in, with the password that is the user's name and "-pw".
func (k *Keycloak) Login(tb testing.TB, user string) Tokens {
	tb.Helper()
	return k.token(tb, "ipfs", url.Values{
		"grant_type": {"password"}, "client_id": {Client}, "client_secret": {ClientSecret},
		"username": {user}, "password": {user + "-pw"}, "scope": {"openid"},
	})
}

// Token returns a new access token of a user. It is good for 5 minutes.
func (k *Keycloak) Token(tb testing.TB, user string) string {
	tb.Helper()
	return k.Login(tb, user).Access
}

// ServiceToken returns a new access token of the client itself, which is a user of tenant
// t1.
func (k *Keycloak) ServiceToken(tb testing.TB) string {
	tb.Helper()
	return k.token(tb, "ipfs", url.Values{"grant_type": {"client_credentials"}, "client_id": {Client}, "client_secret": {ClientSecret}}).Access
}

// adminToken returns a new token of the administrator. It is good for a minute.
func (k *Keycloak) adminToken(tb testing.TB) string {
	tb.Helper()
	return k.token(tb, "master", url.Values{
		"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {adminUser}, "password": {adminPassword},
	}).Access
}

func (k *Keycloak) token(tb testing.TB, realm string, form url.Values) Tokens {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, k.url+"/realms/"+realm+"/protocol/openid-connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var tokens Tokens
	if err := k.do(request, &tokens); err != nil {
		tb.Fatal(err)
	}
	return tokens
}

// do sends a request, and reads the answer into what may be nil.
func (k *Keycloak) do(request *http.Request, into any) error {
	what := request.Method + " " + request.URL.Path
	response, err := k.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case response.StatusCode/100 != 2:
		return fmt.Errorf("%s: %s: %s", what, response.Status, body)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
