package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// signature is what a key makes of the input of a token: by hand, so that tokens can be
// wrong in every way.
func signature(key any, input string) []byte {
	digest := sha256.Sum256([]byte(input))
	switch key := key.(type) {
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case *rsa.PrivateKey:
		return must(rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case crypto.Signer:
		return must(key.Sign(nil, []byte(input), crypto.Hash(0)))
	}
	return nil
}

// realms are two issuers on real servers, and a verifier that trusts both.
type realms struct {
	a, b     *issuer // Keycloak's and Auth0's shape
	verifier *Verifier
	denylist *denylist
}

func newRealms(t *testing.T) *realms {
	r := &realms{a: &issuer{}, b: &issuer{}, denylist: &denylist{ids: []string{"revoked"}}}
	serverA, serverB := httptest.NewServer(r.a), httptest.NewServer(r.b)
	t.Cleanup(serverA.Close)
	t.Cleanup(serverB.Close)
	r.a.url, r.b.url = serverA.URL+"/realms/ipfs", serverB.URL+"/"
	r.a.publish(public("k1", rsaKey()), public("e1", ecKey()))
	r.b.publish(public("k1", otherRSA()))
	a, b := keycloak(r.a.url), auth0(r.b.url)
	a.AllowHTTP, b.AllowHTTP = true, true
	var err error
	if r.verifier, err = New([]Issuer{a, b}, serverA.Client(), r.denylist); err != nil {
		t.Fatal(err)
	}
	return r
}

// The table of attacks. Each row is a token of Keycloak with one thing that is wrong, and
// what must be the reason for which it is refused.
func TestAttacks(t *testing.T) {
	r := newRealms(t)
	now := time.Now()
	good := draftOf(keycloakClaims(r.a.url, now))
	other := draftOf(auth0Claims(r.b.url, now)).by(otherRSA())
	soon, late := now.Add(time.Hour).Unix(), now.Add(-time.Hour).Unix()
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	ours := must(json.Marshal(public("k1", otherRSA())))
	claims := string(must(json.Marshal(good.claims)))

	for _, test := range []struct {
		name, token string
		want        string // in the error; empty: the token passes
	}{
		{"good", good.sign(), ""},
		{"good by an elliptic curve", good.head("alg", "ES256").head("kid", "e1").by(ecKey()).sign(), ""},
		{"good of the other issuer", other.sign(), ""},
		{"good without a type", good.head("typ", nil).sign(), ""},
		{"good with the type of RFC 9068", good.head("typ", "at+jwt").sign(), ""},
		{"good without jti", good.with("jti", nil).sign(), ""},

		{"alg none", good.head("alg", "none").by(nil).sign(), "unexpected signature algorithm"},
		{"alg None", good.head("alg", "None").by(nil).sign(), "unexpected signature algorithm"},
		{"alg nOnE", good.head("alg", "nOnE").by(nil).sign(), "unexpected signature algorithm"},
		{"alg missing", good.head("alg", nil).sign(), "unexpected signature algorithm"},
		{"signature missing", strings.TrimRight(good.by(nil).sign(), ""), "signature"},
		{"HS256 with the public key as PEM", good.head("alg", "HS256").by(publicPEM).sign(), "unexpected signature algorithm"},
		{"HS256 with the public key as DER", good.head("alg", "HS256").by(der).sign(), "unexpected signature algorithm"},
		{"an algorithm pinned for the other issuer only", other.head("alg", "ES256").head("kid", "e1").by(ecKey()).sign(), "may not sign with"},
		{"an elliptic signature said to be RSA", good.by(ecKey()).sign(), "the signature is wrong"},
		{"the RSA key named for ES256", good.head("alg", "ES256").by(ecKey()).sign(), "does not have"},

		{"jwk of the attacker", good.head("jwk", json.RawMessage(ours)).by(otherRSA()).sign(), `header has "jwk"`},
		{"jku of the attacker", good.head("jku", "https://attacker.example/jwks").by(otherRSA()).sign(), `header has "jku"`},
		{"x5u of the attacker", good.head("x5u", "https://attacker.example/cert").by(otherRSA()).sign(), `header has "x5u"`},
		{"x5c of the attacker", good.head("x5c", []string{"MIIB"}).by(otherRSA()).sign(), `header has "x5c"`},
		{"crit", good.head("crit", []string{"exp"}).head("exp", soon).sign(), `header has`},
		{"crit with b64", good.head("crit", []string{"b64"}).head("b64", false).sign(), `header has`},
		{"b64 false", good.head("b64", false).sign(), `header has "b64"`},
		{"kid is a path", good.head("kid", "../../../dev/null").by([]byte{}).head("alg", "RS256").sign(), "does not have"},
		{"kid is SQL", good.head("kid", "' UNION SELECT 'k1").sign(), "does not have"},
		{"kid is empty", good.head("kid", "").by(otherRSA()).sign(), "the signature is wrong"},
		{"kid is a number", good.head("kid", 1).sign(), "json"},
		{"kid is unknown", good.head("kid", "k9").sign(), "does not have"},
		{"header says alg twice", replaceHeader(good, `{"alg":"RS256","alg":"RS256","kid":"k1"}`), "duplicate key"},
		{"type is a number", good.head("typ", 1).sign(), "header says that it is"},
		{"type is of a logout token", good.head("typ", "logout+jwt").sign(), "header says that it is"},
		{"type is of our sessions", good.head("typ", "pin-session+jwt").sign(), "header says that it is"},

		{"a claim twice", draft{header: good.header, key: good.key, payload: strings.Replace(claims, `"tenant":"t1"`, `"tenant":"t1","tenant":"t2"`, 1)}.sign(), "duplicate key"},
		{"a claim twice within", draft{header: good.header, key: good.key, payload: strings.Replace(claims, `{"roles":`, `{"roles":[],"roles":`, 1)}.sign(), "duplicate key"},
		{"claims are an array", draft{header: good.header, key: good.key, payload: `[]`}.sign(), "claims"},
		{"claims are null", draft{header: good.header, key: good.key, payload: `null`}.sign(), "not trusted"},
		{"claims with more behind", draft{header: good.header, key: good.key, payload: claims + `{}`}.sign(), "claims"},
		{"names of claims in capitals", draft{header: good.header, key: good.key, payload: strings.Replace(claims, `"exp"`, `"EXP"`, 1)}.sign(), "no exp"},

		{"exp missing", good.with("exp", nil).sign(), "no exp"},
		{"exp null", good.with("exp", json.RawMessage("null")).sign(), "exp of the token"},
		{"exp is a text", good.with("exp", fmt.Sprint(soon)).sign(), "exp of the token"},
		{"exp is a float", good.with("exp", float64(now.Unix())+60.5).sign(), ""},
		{"exp is 1e99", good.with("exp", json.RawMessage("1e99")).sign(), "exp of the token"},
		{"exp is 1e999", good.with("exp", json.RawMessage("1e999")).sign(), "claims"},
		{"exp is negative", good.with("exp", -1).sign(), "exp of the token"},
		{"exp is zero", good.with("exp", 0).sign(), "exp of the token"},
		{"exp is for ever", good.with("exp", now.AddDate(1, 0, 0).Unix()).sign(), "more than 24h"},
		{"expired", good.with("exp", late).sign(), "token expired"},
		{"nbf in the future", good.with("nbf", soon).sign(), "not good yet"},
		{"nbf in the past", good.with("nbf", late).sign(), ""},
		{"nbf is a text", good.with("nbf", "0").sign(), "nbf of the token"},
		{"iat in the future", good.with("iat", soon).sign(), "issued in the future"},

		{"aud missing", good.with("aud", nil).sign(), "another audience"},
		{"aud empty", good.with("aud", "").sign(), "another audience"},
		{"aud is an empty array", good.with("aud", []string{}).sign(), "another audience"},
		{"aud is an array with ours", good.with("aud", []string{"account", "pinning-api"}).sign(), ""},
		{"aud is an array without ours", good.with("aud", []string{"account", "billing"}).sign(), "another audience"},
		{"aud has a number", good.with("aud", []any{"pinning-api", 1}).sign(), "another audience"},
		{"aud is an object", good.with("aud", map[string]any{"pinning-api": true}).sign(), "another audience"},
		{"aud begins with ours", good.with("aud", "pinning-api-evil").sign(), "another audience"},
		{"aud is the beginning of ours", good.with("aud", "pinning").sign(), "another audience"},
		{"aud in capitals", good.with("aud", "PINNING-API").sign(), "another audience"},

		{"iss with a slash", good.with("iss", r.a.url+"/").sign(), "not trusted"},
		{"iss without its slash", other.with("iss", strings.TrimSuffix(r.b.url, "/")).sign(), "not trusted"},
		{"iss missing", good.with("iss", nil).sign(), "not trusted"},
		{"iss is an array", good.with("iss", []string{r.a.url}).sign(), "claims"},
		{"iss of one realm, key of the other", good.by(otherRSA()).sign(), "the signature is wrong"},
		{"iss of the other realm, key of the one", other.by(rsaKey()).sign(), "the signature is wrong"},

		{"an ID token by its type", good.with("typ", "ID").sign(), "not an access token"},
		{"a refresh token", good.with("typ", "Refresh").sign(), "not an access token"},
		{"an ID token by its nonce", other.with("nonce", "n").sign(), "ID token"},
		{"an ID token by at_hash", other.with("at_hash", "h").sign(), "ID token"},
		{"a logout token", other.with("events", map[string]any{}).sign(), "an event"},
		{"bound to a key", good.with("cnf", map[string]any{"jkt": "x"}).sign(), "bound to a key"},

		{"JWE", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.b.c.d.e", "three parts"},
		{"1 MB", good.with("pad", strings.Repeat("x", 1<<20)).sign(), "longer than"},
		{"many segments", strings.Repeat(".", MaxBytes), "three parts"},
		{"a segment more", good.sign() + ".e30", "three parts"},
		{"JSON serialization", flattened(good), "not base64url"},
		{"JSON serialization with three parts", `{"payload":"..","x":""}`, "not base64url"},
		{"padding", strings.Replace(good.sign(), ".", "=.", 1), "not base64url"},
		{"a space", " " + good.sign(), "not base64url"},
		{"a line break", strings.Replace(good.sign(), ".", "\n.", 1), "not base64url"},
		{"empty", "", "three parts"},

		{"tenant missing", good.with("tenant", nil).sign(), "names no tenant"},
		{"tenant empty", good.with("tenant", "").sign(), "names no tenant"},
		{"tenant is an array", good.with("tenant", []string{"t1"}).sign(), "not a text"},
		{"tenant null", good.with("tenant", json.RawMessage("null")).sign(), "not a text"},
		{"tenant of another issuer", good.with("tenant", "t3").sign(), "may not name"},
		{"roles are an object", good.with("realm_access", map[string]any{"roles": map[string]any{}}).sign(), "neither a text nor texts"},
		{"realm_access is a text", good.with("realm_access", "x").sign(), "no object"},
		{"a role is a number", good.with("realm_access", map[string]any{"roles": []any{1}}).sign(), "neither a text nor texts"},
		{"too many roles", good.with("groups", strings.Split(strings.Repeat("a,", 300)+"b", ",")).sign(), ""}, // doubles count once
		{"sub missing", good.with("sub", nil).sign(), "no sub"},
		{"sub is a number", good.with("sub", 1).sign(), "no sub"},
		{"sub has a line break", good.with("sub", "a\nb").sign(), "do not show"},
		{"jti revoked", good.with("jti", "revoked").sign(), "token was revoked"},
	} {
		_, err := r.verifier.Verify(t.Context(), test.token)
		switch got := outcome(t, err); {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && err == nil:
			t.Errorf("%s: passes", test.name)
		case test.want != "" && (got == "unavailable" || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: refused for another reason: %v", test.name, err)
		}
	}
	if n := r.a.fetched(); n > 2 {
		t.Errorf("keys were fetched %d times", n)
	}
}

func replaceHeader(d draft, header string) string {
	input := encode(header) + "." + encode(string(must(json.Marshal(d.claims))))
	return input + "." + encode(string(signature(d.key, input)))
}

func flattened(d draft) string {
	parts := strings.Split(d.sign(), ".")
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2])
}

// What is told before a signature is good does not depend on why it is not.
func TestNothingIsToldBeforeTheSignature(t *testing.T) {
	r := newRealms(t)
	good := draftOf(keycloakClaims(r.a.url, time.Now()))
	for _, token := range []string{good.by(otherRSA()).sign(), good.head("kid", "x").sign(), good.with("iss", "https://x.example").sign(), "a.b.c",
		good.with("exp", 1).by(otherRSA()).sign(), good.with("tenant", "t9").by(otherRSA()).sign()} {
		if _, err := r.verifier.Verify(t.Context(), token); outcome(t, err) != invalid {
			t.Errorf("%.40q: %v", token, err)
		}
	}
}
