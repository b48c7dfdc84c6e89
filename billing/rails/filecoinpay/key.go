package filecoinpay

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// key is a private key. Printing it shows nothing of it.
type key struct{ private *secp256k1.PrivateKey }

// Format writes nothing of the key, whatever the verb.
func (key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "a private key") }

// readKey reads a key from a file that only its owner may use.
func readKey(path string) (key, error) {
	text, err := evm.ReadSecret(path, 0o077)
	if err != nil {
		return key{}, fmt.Errorf("the operator's key: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	var scalar secp256k1.ModNScalar
	if err != nil || len(raw) != secp256k1.PrivKeyBytesLen || scalar.SetByteSlice(raw) || scalar.IsZero() {
		return key{}, fmt.Errorf("the operator's key: %s does not have 64 hexadecimal digits that are a key", path)
	}
	return key{secp256k1.NewPrivateKey(&scalar)}, nil
}

// address is that of the account of a key.
func (k key) address() evm.Address {
	sum := evm.Keccak(k.private.PubKey().SerializeUncompressed()[1:])
	return evm.Address(sum[12:])
}

// sign returns R, S and whether Y is odd, with the S that is low.
func (k key) sign(digest evm.Hash) (r, s []byte, odd byte) {
	compact := ecdsa.SignCompact(k.private, digest[:], false)
	return compact[1:33], compact[33:65], compact[0] - 27
}
