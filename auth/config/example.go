package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	_ "embed" // the example
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/settings"
)

//go:embed example.json
var example []byte

// Example returns a configuration to begin with, to be written to the file of that name, and
// the files that it names, in the same folder, with new secrets in them.
func Example(name string) ([]settings.NewFile, error) {
	pepper := make([]byte, pepperSize)
	if _, err := rand.Read(pepper); err != nil {
		return nil, fmt.Errorf("making a pepper: %w", err)
	}
	session, _, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("making a key for sessions: %w", err)
	}
	audit, public, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("making a key for audit records: %w", err)
	}
	return []settings.NewFile{
		{Name: name, Text: example},
		{Name: "pepper-1", Text: []byte(hex.EncodeToString(pepper) + "\n")},
		{Name: "session-1.pem", Text: session},
		{Name: "audit.pem", Text: audit},
		{Name: "audit-public.pem", Text: public},
	}, nil
}

// newKey returns a key of Ed25519 and its public half, in PEM format.
func newKey() (private, public []byte, err error) {
	publicKey, privateKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(privateKey); err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(publicKey); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), nil
}
