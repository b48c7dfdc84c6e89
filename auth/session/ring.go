package session

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Key is one of the ring. Printing it does not show the private key.
//
// To rotate: give all instances a key whose From is later than the last of them will have
// it; then, MaxLifetime after From, take the old one away, or set its Until.
type Key struct {
	ID      string
	Private ed25519.PrivateKey
	// From is when it begins to sign: of all that have begun, the last one signs.
	From time.Time
	// Until is when what it signed is no longer good. Zero means never.
	Until time.Time
}

// Format writes the id of the key, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session key %s", k.ID) }

type ring []Key

func newRing(keys []Key) (ring, error) {
	seen := make(map[string]bool)
	for _, key := range keys {
		switch {
		case key.ID == "" || seen[key.ID]:
			return nil, fmt.Errorf("the id of session key %q is empty or there twice", key.ID)
		case len(key.Private) != ed25519.PrivateKeySize:
			return nil, fmt.Errorf("session key %q is not an Ed25519 key", key.ID)
		case !key.Until.IsZero() && !key.Until.After(key.From):
			return nil, fmt.Errorf("session key %q ends before it begins", key.ID)
		}
		seen[key.ID] = true
	}
	if len(keys) == 0 {
		return nil, errors.New("sessions need a key")
	}
	return append(ring(nil), keys...), nil
}

// good tells whether what the key signed passes at a moment.
func (k Key) good(now time.Time) bool { return k.Until.IsZero() || now.Before(k.Until) }

func (r ring) sign(payload []byte, now time.Time) (string, error) {
	var signs *Key
	for i, key := range r {
		if !key.From.After(now) && key.good(now) && (signs == nil || key.From.After(signs.From)) {
			signs = &r[i]
		}
	}
	if signs == nil {
		return "", errors.New("no key of the ring is good now")
	}
	options := (&jose.SignerOptions{}).WithType(Type)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: signs.Private, KeyID: signs.ID}}, options)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// public returns the key of an id, also before it signs here: another instance's clock may
// be ahead.
func (r ring) public(id string, now time.Time) (ed25519.PublicKey, bool) {
	for _, key := range r {
		if key.ID == id && key.good(now) {
			public, ok := key.Private.Public().(ed25519.PublicKey)
			return public, ok
		}
	}
	return nil, false
}
