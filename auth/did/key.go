// Package did proves who has the key of a did:key: by a login with a challenge, or by a
// signature of each request (RFC 9421). The keys are of Ed25519, P-256 or secp256k1.
//
// Promised: a DID is returned if its key signed this challenge, or this request, for this
// gateway, a moment ago, and it was not used before. The algorithm is the one of the key's
// type, whatever a header says.
//
// An attacker who sees what is sent cannot use it again, at another gateway or for another
// request: a challenge is taken once; a signature covers method, URL and body and has a
// nonce that is good once for all but GET and HEAD, which he may repeat for a minute.
// Making another valid signature out of one gains nothing: what is remembered is the
// nonce, and secp256k1 signatures have one form only (low S). Who makes DIDs of their own
// and signs with them has nothing remembered: only nonces of those who are admitted are.
package did

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1 "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-varint"
)

const (
	prefix = "did:key:"
	// MaxBytes bounds a DID. A base58 text costs the square of its length.
	MaxBytes = 128
	// signatureLen is that of every algorithm here: R and S, or Ed25519's.
	signatureLen = 64
)

// Key is a key and its DID.
type Key struct {
	// DID is the text of it. Each key has one.
	DID string
	// jose and http are the names of its algorithm in JWS and in RFC 9421. The latter has
	// none for secp256k1.
	jose, http string
	verify     func(message, signature []byte) bool
}

// URL returns the DID URL of the key, as keyid and kid have it.
func (k Key) URL() string { return k.DID + "#" + strings.TrimPrefix(k.DID, prefix) }

// Verify tells whether the key signed the message.
func (k Key) Verify(message, signature []byte) bool {
	return len(signature) == signatureLen && k.verify(message, signature)
}

// Parse returns the key of a DID.
func Parse(text string) (Key, error) {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) > MaxBytes {
		return Key{}, fmt.Errorf("%.140q is not a did:key", text)
	}
	base, decoded, err := multibase.Decode(encoded)
	if err != nil || base != multibase.Base58BTC {
		return Key{}, fmt.Errorf("%q is not multibase of base58btc", text)
	}
	code, n, err := varint.FromUvarint(decoded)
	if err != nil {
		return Key{}, fmt.Errorf("%q: %w", text, err)
	}
	key, err := public(multicodec.Code(code), decoded[n:])
	if err != nil {
		return Key{}, fmt.Errorf("%q: %w", text, err)
	}
	key.DID = text
	return key, nil
}

// public returns a key without its DID.
func public(code multicodec.Code, raw []byte) (Key, error) {
	switch code {
	case multicodec.Ed25519Pub:
		if len(raw) != ed25519.PublicKeySize {
			return Key{}, errors.New("an Ed25519 key has 32 bytes")
		}
		return Key{jose: "EdDSA", http: "ed25519", verify: func(message, signature []byte) bool {
			return ed25519.Verify(raw, message, signature)
		}}, nil
	case multicodec.P256Pub:
		key, err := p256(raw)
		return Key{jose: "ES256", http: "ecdsa-p256-sha256", verify: func(message, signature []byte) bool {
			digest := sha256.Sum256(message)
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, digest[:], r, s)
		}}, err
	case multicodec.Secp256k1Pub:
		key, err := secp256k1.ParsePubKey(raw)
		if err == nil && len(raw) != secp256k1.PubKeyBytesLenCompressed {
			err = errors.New("a secp256k1 key is compressed")
		}
		return Key{jose: "ES256K", verify: func(message, signature []byte) bool {
			digest := sha256.Sum256(message)
			var r, s secp256k1.ModNScalar
			if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) || r.IsZero() || s.IsZero() || s.IsOverHalfOrder() {
				return false
			}
			return k1.NewSignature(&r, &s).Verify(digest[:], key)
		}}, err
	}
	return Key{}, fmt.Errorf("keys of type %s are not supported", code)
}

// p256 reads a compressed point.
func p256(raw []byte) (*ecdsa.PublicKey, error) {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
	if x == nil {
		return nil, errors.New("it is not a compressed point of P-256")
	}
	point := make([]byte, 65)
	point[0] = 4
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}
