package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

// Files is what is in the files that a configuration names. Printing it shows nothing of it.
type Files struct {
	// Certificate is that of TLS, nil without one.
	Certificate *tls.Certificate
	// Peppers are those of APIKeys, nil without any.
	Peppers     *apikey.Peppers
	SessionKeys []session.Key
	// LoginSecrets are those of the clients of Issuers, in their order, "" for none.
	LoginSecrets []string
	AuditKey     ed25519.PrivateKey
}

// Format writes nothing of what is in the files, whatever the verb.
func (Files) Format(f fmt.State, _ rune) { fmt.Fprint(f, "the files of a configuration") }

// Read reads the files of a configuration that is valid. The error is Problems, with all
// files that cannot be used. Those of Database, Peers and Events are read by who connects to
// them; it is only looked whether they can be used.
func (c Config) Read() (Files, error) {
	r := &reader{settings.Files{Folder: c.Folder, Live: c.Environment == Live}}
	f := Files{AuditKey: r.privateKey("audit.key_file", c.Audit.KeyFile)}
	if c.TLS.CertFile != "" {
		f.Certificate = r.Certificate(c.TLS.CertFile, c.TLS.KeyFile)
	}
	if c.Peers.CAFile != "" {
		r.Authorities("peers.ca_file", c.Peers.CAFile)
	}
	if c.Peers.PasswordFile != "" {
		r.Password("peers.password_file", c.Peers.PasswordFile)
	}
	if c.Database.PasswordFile != "" {
		r.Password("database.password_file", c.Database.PasswordFile)
	}
	f.Peppers = r.peppers(c.APIKeys)
	for i, key := range c.Sessions.Keys {
		f.SessionKeys = append(f.SessionKeys, session.Key{
			ID: key.ID, From: key.From, Until: key.Until,
			Private: r.privateKey(fmt.Sprintf("sessions.keys[%d].file", i), key.File),
		})
	}
	for i, issuer := range c.Issuers {
		secret := ""
		if issuer.LoginSecretFile != "" {
			secret = r.Password(fmt.Sprintf("issuers[%d].login_secret_file", i), issuer.LoginSecretFile)
		}
		f.LoginSecrets = append(f.LoginSecrets, secret)
	}
	for _, other := range []struct {
		field, file string
		secret      bool
	}{
		{"database.tls.ca_file", c.Database.TLS.CAFile, false}, {"database.tls.cert_file", c.Database.TLS.CertFile, false},
		{"database.tls.key_file", c.Database.TLS.KeyFile, true},
		{"events.credentials_file", c.Events.CredentialsFile, true}, {"events.nkey_file", c.Events.NKeyFile, true},
		{"events.ca_file", c.Events.CAFile, false}, {"events.cert_file", c.Events.CertFile, false}, {"events.key_file", c.Events.KeyFile, true},
	} {
		if other.file != "" {
			r.Read(other.field, other.file, other.secret)
		}
	}
	if err := r.Problems.Err(); err != nil {
		return Files{}, err
	}
	return f, nil
}

// reader reads files and notes those that cannot be used.
type reader struct{ settings.Files }

// privateKey reads a key of Ed25519 in PEM format (PKCS #8).
func (r *reader) privateKey(field, name string) ed25519.PrivateKey {
	text := r.Read(field, name, true)
	if text == nil {
		return nil
	}
	if block, rest := pem.Decode(text); block != nil && block.Type == "PRIVATE KEY" && len(bytes.TrimSpace(rest)) == 0 {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := key.(ed25519.PrivateKey); ok {
				return key
			}
		}
	}
	r.Problems.Add(field, "names %s, which is not a key of Ed25519: make one with openssl genpkey -algorithm ed25519", r.Resolve(name))
	return nil
}

// peppers returns nil if there are none, or one cannot be used.
func (r *reader) peppers(keys APIKeys) *apikey.Peppers {
	values := make(map[int][]byte)
	for i, pepper := range keys.Peppers {
		field := fmt.Sprintf("api_keys.peppers[%d].file", i)
		text := r.Read(field, pepper.File, true)
		value, err := hex.DecodeString(string(bytes.TrimSpace(text)))
		if text != nil && (err != nil || len(value) < pepperSize) {
			r.Problems.Add(field, "names %s, which has not %d or more hexadecimal digits: make one with openssl rand -hex %d", r.Resolve(pepper.File), 2*pepperSize, pepperSize)
			continue
		}
		if text != nil {
			values[pepper.Version] = value
		}
	}
	if len(values) < len(keys.Peppers) || len(values) == 0 {
		return nil
	}
	peppers, err := apikey.NewPeppers(keys.currentPepper(), values)
	if err != nil {
		r.Problems.Add("api_keys.peppers", "cannot be used: %v", err)
		return nil
	}
	return &peppers
}

// pepperSize is how many bytes a pepper has at least.
const pepperSize = 32

// AuditWriter returns the name of this instance in audit records: Audit.Writer, or the
// name of the host with what such a name must not have replaced by dashes.
func (c Config) AuditWriter() (string, error) {
	if c.Audit.Writer != "" {
		return c.Audit.Writer, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming the writer of audit records: %w, set audit.writer", err)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(host))
	if name = strings.TrimLeft(name, "-"); len(name) > 64 {
		name = name[:64]
	}
	if !isWriter(name) {
		return "", fmt.Errorf("naming the writer of audit records: the name of the host, %.100q, is none: set audit.writer", host)
	}
	return name, nil
}

// isWriter tells whether a text can be the name of a writer of audit records.
func isWriter(name string) bool {
	return name != "" && len(name) <= 64 && name[0] != '-' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
