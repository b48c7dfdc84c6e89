package config

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
)

// certificate returns a certificate and its key, in PEM format.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pins.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// folder returns one with all the files that good names.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := certificate(t)
	one, _, err := newKey()
	must(t, err)
	for name, text := range map[string]string{
		"cert.pem": string(cert), "key.pem": string(key), "ca.pem": string(cert), "peer-password": "pass word \n",
		"pepper-1": strings.Repeat("0a", 32), "pepper-2": strings.Repeat("0B", 40) + "\n", "session-1.pem": string(one), "audit.pem": string(one),
		"nats.creds": "creds", "login-secret": "s3cr3t +&\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestRead(t *testing.T) {
	c := good()
	c.Folder = folder(t)
	f, err := c.Read()
	must(t, err)
	if f.Certificate == nil || len(f.SessionKeys) != 1 || f.SessionKeys[0].ID != "1" ||
		len(f.AuditKey) != ed25519.PrivateKeySize || !f.AuditKey.Equal(f.SessionKeys[0].Private) || f.Peppers == nil ||
		!slices.Equal(f.LoginSecrets, []string{"s3cr3t +&", ""}) {
		t.Errorf("the files were not read: %d session keys", len(f.SessionKeys))
	}
	// New keys are made with the highest version, unless another is current.
	for current, want := range map[int]int{0: 2, 1: 1} {
		c.APIKeys.CurrentPepper = current
		f, err := c.Read()
		must(t, err)
		key, _, err := apikey.New("live", apikey.Grant{Owner: "o", Tenant: "t", Scopes: []string{"*"}, CreatedBy: "c", Expires: time.Now().Add(time.Hour)}, *f.Peppers, time.Now())
		must(t, err)
		if key.Pepper != want {
			t.Errorf("with current_pepper %d, new keys have pepper %d, want %d", current, key.Pepper, want)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, f); text != "the files of a configuration" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// TestReadOfBadFiles breaks one file after the other and wants exactly what is said of it.
func TestReadOfBadFiles(t *testing.T) {
	dir := folder(t)
	_, otherKey := certificate(t)
	for _, tc := range []struct {
		file string
		text any // bytes, a mode, or nil for no file
		want string
	}{
		{"cert.pem", nil, "tls.cert_file names DIR/cert.pem, which does not exist: correct the name, or make the file"},
		{"key.pem", otherKey, "tls.cert_file and tls.key_file cannot be used together: tls: private key does not match public key"},
		{"ca.pem", []byte("x"), "peers.ca_file names DIR/ca.pem, which has no certificate in PEM format: name another"},
		{"peer-password", []byte("\n"), "peers.password_file names DIR/peer-password, which is not one line with a password: write it there"},
		{"peer-password", []byte("a\nb\n"), "peers.password_file names DIR/peer-password, which is not one line with a password: write it there"},
		{"peer-password", []byte{}, "peers.password_file names DIR/peer-password, which is empty: fill it"},
		{"login-secret", nil, "issuers[0].login_secret_file names DIR/login-secret, which does not exist: correct the name, or make the file"},
		{"login-secret", os.FileMode(0o644), "issuers[0].login_secret_file names DIR/login-secret, which everybody on this machine may use (mode 0644): chmod o= DIR/login-secret"},
		{"pepper-1", []byte("hunter2"), "api_keys.peppers[0].file names DIR/pepper-1, which has not 64 or more hexadecimal digits: make one with openssl rand -hex 32"},
		{"pepper-2", []byte(strings.Repeat("a", 62)), "api_keys.peppers[1].file names DIR/pepper-2, which has not 64 or more hexadecimal digits: make one with openssl rand -hex 32"},
		{"session-1.pem", otherKey, "sessions.keys[0].file names DIR/session-1.pem, which is not a key of Ed25519: make one with openssl genpkey -algorithm ed25519"},
		{"audit.pem", []byte("hunter2"), "audit.key_file names DIR/audit.pem, which is not a key of Ed25519: make one with openssl genpkey -algorithm ed25519"},
		{"nats.creds", nil, "events.credentials_file names DIR/nats.creds, which does not exist: correct the name, or make the file"},
		{"audit.pem", os.FileMode(0o604), "audit.key_file names DIR/audit.pem, which everybody on this machine may use (mode 0604): chmod o= DIR/audit.pem"},
		{"peer-password", os.FileMode(0o644), "peers.password_file names DIR/peer-password, which everybody on this machine may use (mode 0644): chmod o= DIR/peer-password"},
		{"key.pem", os.FileMode(0o644), "tls.key_file names DIR/key.pem, which everybody on this machine may use (mode 0644): chmod o= DIR/key.pem"},
		{"cert.pem", os.FileMode(0o644), ""},
		{"audit.pem", os.FileMode(0o640), ""},
		{"pepper-1", make([]byte, 1<<20+1), "api_keys.peppers[0].file names DIR/pepper-1, which has more than 1048576 bytes: it is another file"},
	} {
		name := filepath.Join(dir, tc.file)
		before, err := os.ReadFile(name)
		must(t, err)
		switch text := tc.text.(type) {
		case []byte:
			must(t, os.WriteFile(name, text, 0o600))
		case os.FileMode:
			must(t, os.Chmod(name, text))
		default:
			must(t, os.Remove(name))
		}
		c := good()
		c.Folder = dir
		_, err = c.Read()
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		if got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
		must(t, os.WriteFile(name, before, 0o600))
		must(t, os.Chmod(name, 0o600))
	}
	c := good()
	c.Folder = dir
	if _, err := c.Read(); err != nil {
		t.Errorf("all is as it was: %v", err)
	}
	// All that is wrong is told at once; under Test nobody looks at modes.
	must(t, os.Remove(filepath.Join(dir, "audit.pem")))
	must(t, os.Remove(filepath.Join(dir, "pepper-2")))
	must(t, os.Chmod(filepath.Join(dir, "pepper-1"), 0o644))
	if _, err := c.Read(); err == nil || !strings.HasPrefix(err.Error(), "3 settings are wrong:\n") {
		t.Error(err)
	}
	c.Environment = Test
	if _, err := c.Read(); err == nil || !strings.HasPrefix(err.Error(), "2 settings are wrong:\n") {
		t.Error(err)
	}
}

func TestAuditWriter(t *testing.T) {
	c := good()
	if name, err := c.AuditWriter(); err != nil || name != "gateway-1" {
		t.Errorf("%q %v", name, err)
	}
	c.Audit.Writer = ""
	if name, err := c.AuditWriter(); err != nil || !isWriter(name) {
		t.Errorf("the name of the host makes %q, %v", name, err)
	}
	for name, want := range map[string]bool{"": false, "-a": false, "a-": true, "A": false, "a.b": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false} {
		if isWriter(name) != want {
			t.Errorf("isWriter(%q) is not %v", name, want)
		}
	}
}
