package filecoinpay

import (
	"bytes"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// transaction is one of EIP-1559, without an access list and without value.
type transaction struct {
	chainID, nonce uint64
	tip, feeCap    *big.Int // in wei, for each unit of gas
	gas            uint64
	to             evm.Address
	data           []byte
}

const typeDynamicFee = 2

// signed returns its bytes as they are sent, and its hash. They are the same each time.
func (t transaction) signed(k key) ([]byte, evm.Hash) {
	number := func(n uint64) []byte { return new(big.Int).SetUint64(n).Bytes() }
	fields := [][]byte{
		text(number(t.chainID)), text(number(t.nonce)), text(t.tip.Bytes()), text(t.feeCap.Bytes()), text(number(t.gas)),
		text(t.to[:]), text(nil), text(t.data), list(nil),
	}
	r, s, odd := k.sign(evm.Keccak([]byte{typeDynamicFee}, list(fields)))
	trim := func(b []byte) []byte { return bytes.TrimLeft(b, "\x00") }
	fields = append(fields, text(number(uint64(odd))), text(trim(r)), text(trim(s)))
	raw := append([]byte{typeDynamicFee}, list(fields)...)
	return raw, evm.Keccak(raw)
}

// The two kinds of RLP: a text of bytes, and a list. Numbers are texts without zeros before.
const (
	rlpText  = 0x80
	rlpList  = 0xc0
	rlpShort = 55
)

func text(b []byte) []byte {
	if len(b) == 1 && b[0] < rlpText {
		return b
	}
	return append(rlpHeader(rlpText, len(b)), b...)
}

func list(items [][]byte) []byte {
	all := bytes.Join(items, nil)
	return append(rlpHeader(rlpList, len(all)), all...)
}

func rlpHeader(kind byte, length int) []byte {
	if length <= rlpShort {
		return []byte{kind + byte(length)} //nolint:gosec // 55 at most
	}
	size := big.NewInt(int64(length)).Bytes()
	return append([]byte{kind + rlpShort + byte(len(size))}, size...) //nolint:gosec // 8 at most
}
