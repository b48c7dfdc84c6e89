package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	_ "embed" // the example
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

//go:embed example.json
var example []byte

// NewFile is a file that does not exist yet. Printing it shows its name only.
type NewFile struct {
	Name string
	Text []byte
}

// Format writes the name of the file, whatever the verb.
func (n NewFile) Format(f fmt.State, _ rune) { fmt.Fprint(f, n.Name) }

// Example returns a configuration to begin with, to be written to the file of that name, and
// the files that it names, in the same folder, with new secrets in them.
func Example(name string) ([]NewFile, error) {
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
	return []NewFile{
		{name, example},
		{"pepper-1", []byte(hex.EncodeToString(pepper) + "\n")},
		{"session-1.pem", session},
		{"audit.pem", audit},
		{"audit-public.pem", public},
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
