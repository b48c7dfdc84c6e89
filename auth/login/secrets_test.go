package login_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// TestNoSecretsInLogsAndRecords: whatever fails, neither a log nor a record has anything by
// which somebody could log in, or that is logged in.
func TestNoSecretsInLogsAndRecords(t *testing.T) {
	if err := logging.SetLogLevel("gateway", "debug"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logging.SetLogLevel("gateway", "error") }()
	w := newWorld(t)
	secrets := map[string]string{"secret of the client": clientSecret, "secret of the client, escaped": url.QueryEscape(clientSecret)}
	keep := func(name, value string) string {
		if value == "" {
			t.Errorf("there is no %s", name)
		}
		secrets[name] = value
		return value
	}
	k, o := edHolder(), newWallet()
	w.register(k.did)
	w.register(o.did())
	text := logtest.During(t, logging.LevelDebug, func() {
		// Good logins first.
		jws := keep("jws", k.reply(w.challenge(k), t))
		token := w.post("/auth/did/token", map[string]string{"jws": jws})
		keep("token", token.read(t, "access_token"))
		w.post("/auth/logout", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secrets["token"]) })
		proof := o.proof(o.says(w.url, w.get("/auth/siwe/nonce").read(t, "nonce"), time.Now().Add(time.Hour)))
		keep("signature", fmt.Sprint(proof["signature"]))
		keep("handle", w.cookie("__Host-pin-siwe"))
		w.post("/auth/siwe/verify", proof)
		w.get(w.begin("/"))
		keep("session", w.cookie(sessionCookie))
		// Then what fails, on their part, on ours and on the issuer's.
		for _, path := range []string{"", "/token", "/jwks"} {
			back := w.begin("/")
			keep("cookie for "+path, w.cookie(flowCookie))
			u, err := url.Parse(back)
			if err != nil {
				t.Fatal(err)
			}
			keep("code for "+path, u.Query().Get("code"))
			keep("state for "+path, u.Query().Get("state"))
			w.issuer.change(func() { w.issuer.down[path] = true; w.issuer.key = otherKey() })
			w.get(back)
			w.get(back)
			w.issuer.change(func() { w.issuer.down[path] = false })
		}
		for _, what := range []string{"nonces", "owners", "audit", "denylist"} {
			fresh := edHolder()
			w.register(fresh.did)
			jws := fresh.reply(w.challenge(fresh), t)
			keep("jws while there is no "+what, jws)
			w.set(what, true)
			w.post("/auth/did/token", map[string]string{"jws": jws})
			w.post("/auth/did/token", map[string]string{"jws": jws + "x"})
			w.post("/auth/logout", "")
			w.set(what, false)
		}
	})
	if !strings.Contains(text, "the store is down") || !strings.Contains(text, "502") {
		t.Errorf("what failed is not in the log: %s", text)
	}
	records := fmt.Sprintf("%+v", w.recorded())
	for _, r := range w.recorded() {
		records += fmt.Sprintf("%+v %+v %+v", r.Event, r.Result, r.Attempts)
	}
	for name, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the %s is in the log", name)
		}
		if strings.Contains(records, secret) {
			t.Errorf("the %s is in a record", name)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", w.issuer.provider(), w.issuer.provider(), w.issuer.provider()); strings.Contains(shown, "s3cr3t") {
		t.Errorf("a provider is printed as %s", shown)
	}
}
