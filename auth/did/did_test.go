package did

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1 "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-varint"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// signer is somebody with a key.
type signer struct {
	Key
	private crypto.PrivateKey
	sign    func(message []byte) []byte
}

func did(code multicodec.Code, raw []byte) string {
	text, err := multibase.Encode(multibase.Base58BTC, append(varint.ToUvarint(uint64(code)), raw...))
	if err != nil {
		panic(err)
	}
	return prefix + text
}

// signers are one of each type, by the name of the algorithm in JWS.
func signers(t testing.TB) map[string]signer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]signer{
		did(multicodec.Ed25519Pub, ed.Public().(ed25519.PublicKey)): {private: ed, sign: func(message []byte) []byte { return ed25519.Sign(ed, message) }},
		did(multicodec.P256Pub, elliptic.MarshalCompressed(p.Curve, p.X, p.Y)): {private: p, sign: func(message []byte) []byte {
			digest := sha256.Sum256(message)
			r, s, err := ecdsa.Sign(rand.Reader, p, digest[:])
			if err != nil {
				panic(err)
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}},
		did(multicodec.Secp256k1Pub, k.PubKey().SerializeCompressed()): {private: k, sign: func(message []byte) []byte {
			digest := sha256.Sum256(message)
			signature := k1.Sign(k, digest[:])
			r, s := signature.R(), signature.S()
			rs, ss := r.Bytes(), s.Bytes()
			return append(rs[:], ss[:]...)
		}},
	}
	byName := make(map[string]signer)
	for text, one := range all {
		if one.Key, err = Parse(text); err != nil {
			t.Fatal(err)
		}
		byName[one.jose] = one
	}
	return byName
}

// The examples of the specification of did:key.
func TestSpecification(t *testing.T) {
	for text, jose := range map[string]string{
		"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp":  "EdDSA",
		"did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG":  "EdDSA",
		"did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme": "ES256K",
		"did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv": "ES256",
	} {
		if key, err := Parse(text); err != nil || key.jose != jose || key.DID != text || key.URL() != text+"#"+text[8:] {
			t.Errorf("%s: %+v, %v", text, key, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	ed := make([]byte, 32)
	k, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	hex, err := multibase.Encode(multibase.Base16, append(varint.ToUvarint(uint64(multicodec.Ed25519Pub)), ed...))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                   "",
		"no key":                  "did:key:",
		"another method":          "did:web:example.com",
		"capitals":                "DID:KEY:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
		"a URL":                   "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp#x",
		"space":                   "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp ",
		"another base":            prefix + hex,
		"not base58":              "did:key:z0OIl",
		"long":                    prefix + "z" + strings.Repeat("1", MaxBytes),
		"zero bytes before":       "did:key:z1" + "6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
		"short Ed25519":           did(multicodec.Ed25519Pub, ed[:31]),
		"long Ed25519":            did(multicodec.Ed25519Pub, append(ed, 0)),
		"X25519":                  did(multicodec.X25519Pub, ed),
		"P-384":                   did(multicodec.P384Pub, make([]byte, 49)),
		"P-256 off the curve":     did(multicodec.P256Pub, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)),
		"P-256 uncompressed":      did(multicodec.P256Pub, append([]byte{4}, make([]byte, 64)...)),
		"secp256k1 off the curve": did(multicodec.Secp256k1Pub, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)),
		"secp256k1 uncompressed":  did(multicodec.Secp256k1Pub, k.PubKey().SerializeUncompressed()),
		"key of another type":     did(multicodec.P256Pub, ed),
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: %s passes", name, text)
		}
	}
}

func TestVerify(t *testing.T) {
	all, others := signers(t), signers(t)
	for name, one := range all {
		message := []byte("message")
		signature := one.sign(message)
		if !one.Verify(message, signature) {
			t.Errorf("%s: its own signature is bad", name)
		}
		for what, bad := range map[string][]byte{
			"empty": nil, "short": signature[:63], "long": append(bytes.Clone(signature), 0), "zero": make([]byte, 64),
			"another's": others[name].sign(message), "of another message": one.sign([]byte("massage")),
			"all ones": bytes.Repeat([]byte{0xff}, 64),
		} {
			if one.Verify(message, bad) {
				t.Errorf("%s: %s passes", name, what)
			}
		}
		for other, signer := range all {
			if other != name && one.Verify(message, signer.sign(message)) {
				t.Errorf("%s takes a signature of %s", name, other)
			}
		}
	}
}

// A signature of secp256k1 has one form: with the same R and -S it would be good too.
func TestLowS(t *testing.T) {
	one := signers(t)["ES256K"]
	signature := one.sign([]byte("message"))
	var s secp256k1.ModNScalar
	s.SetByteSlice(signature[32:])
	s.Negate()
	high := s.Bytes()
	if one.Verify([]byte("message"), append(bytes.Clone(signature[:32]), high[:]...)) {
		t.Error("a high S passes")
	}
}

// outcome tells what came of a proof: "", or what the client is told, or "unavailable".
func outcome(t testing.TB, err error) string {
	t.Helper()
	var refusal *principal.Refusal
	var unavailable *principal.Unavailable
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Details
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	t.Errorf("%v is of no kind", err)
	return "?"
}

func FuzzParse(f *testing.F) {
	f.Add("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")
	f.Add("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme")
	f.Add("did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv")
	f.Add("did:key:f00")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Parse(text)
		if err != nil {
			return
		}
		if key.DID != text || len(text) > MaxBytes || key.Verify([]byte("m"), make([]byte, 64)) {
			t.Fatalf("%q is %+v", text, key)
		}
	})
}
