package siwe

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"
)

const (
	addressLen   = 20
	signatureLen = 65
)

func keccak(parts ...[]byte) []byte {
	h := sha3.NewLegacyKeccak256()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// checksummed returns an address with the checksum of EIP-55, and "" if it is not one.
func checksummed(address string) string {
	digits, ok := strings.CutPrefix(address, "0x")
	digits = strings.ToLower(digits)
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != addressLen {
		return ""
	}
	sum := hex.EncodeToString(keccak([]byte(digits)))
	text := []byte(digits)
	for i, c := range text {
		if c >= 'a' && sum[i] >= '8' {
			text[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(text)
}

var errContract = errors.New("wallets that are contracts are not supported: sign with an account that has a key")

// parseSignature reads a signature as wallets give it: 0x and the hexadecimal digits of R,
// S and V.
func parseSignature(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(text) > MaxBytes {
		return nil, errors.New("the signature is not hexadecimal with 0x before it")
	}
	raw, err := hex.DecodeString(digits)
	switch {
	case err != nil:
		return nil, errors.New("the signature is not hexadecimal with 0x before it")
	case len(raw) > signatureLen:
		return nil, errContract
	case len(raw) < signatureLen:
		return nil, fmt.Errorf("the signature has %d bytes, not %d", len(raw), signatureLen)
	}
	return raw, nil
}

// signer returns the address whose key signed a text as a personal message (EIP-191,
// version 0x45). A signature has one form: the S that is low.
func signer(text string, signature []byte) (string, error) {
	v := signature[64]
	if v >= 27 {
		v -= 27
	}
	var s secp256k1.ModNScalar
	if v > 1 || s.SetByteSlice(signature[32:64]) || s.IsOverHalfOrder() {
		return "", errors.New("its V is not 27 or 28, or its S is high")
	}
	digest := keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(text)), []byte(text))
	key, _, err := ecdsa.RecoverCompact(append([]byte{27 + v}, signature[:64]...), digest)
	if err != nil {
		return "", err
	}
	return checksummed("0x" + hex.EncodeToString(keccak(key.SerializeUncompressed()[1:])[12:])), nil
}
