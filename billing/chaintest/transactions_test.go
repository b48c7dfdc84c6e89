package chaintest

import (
	"encoding/json"
	"flag"
	"math/big"
	"os"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

var update = flag.Bool("update", false, "write what go-ethereum signs to the testdata of package filecoinpay")

// signed is a transaction as go-ethereum signs it.
type signed struct {
	Key     hexutil.Bytes  `json:"key"`
	ChainID uint64         `json:"chain_id"`
	Nonce   uint64         `json:"nonce"`
	Tip     *big.Int       `json:"tip"`
	FeeCap  *big.Int       `json:"fee_cap"`
	Gas     uint64         `json:"gas"`
	To      common.Address `json:"to"`
	Data    hexutil.Bytes  `json:"data"`
	Raw     hexutil.Bytes  `json:"raw"`
	Hash    common.Hash    `json:"hash"`
	From    common.Address `json:"from"`
}

// TestTransactions makes what package filecoinpay compares its own bytes with: numbers and
// texts at the bounds of their encodings, and signatures with zeros before.
func TestTransactions(t *testing.T) {
	var all []signed
	for i := range 300 {
		raw := crypto.Keccak256([]byte{byte(i), byte(i >> 8)})
		if i == 0 {
			raw = common.LeftPadBytes([]byte{1}, 32)
		}
		key, err := crypto.ToECDSA(raw)
		must(t, err)
		pick := func(numbers ...uint64) uint64 { return numbers[i%len(numbers)] }
		s := signed{
			Key: raw, ChainID: pick(1, 127, 128, 314, 8453, 1<<63), Nonce: pick(0, 1, 127, 128, 255, 256, 1<<40),
			Tip:    new(big.Int).SetUint64(pick(0, 1, 1_000_000_000, 1<<62)),
			FeeCap: new(big.Int).Lsh(big.NewInt(1), uint(pick(0, 7, 8, 40, 100))),
			Gas:    pick(21_000, 0x7f, 0x80, 30_000_000, 10_000_000_000),
			To:     common.BytesToAddress(raw[3:]), Data: make([]byte, pick(0, 1, 4, 55, 56, 100, 255, 256, 300)),
			From: crypto.PubkeyToAddress(key.PublicKey),
		}
		for n := range s.Data {
			s.Data[n] = raw[n%32]
		}
		tx, err := types.SignNewTx(key, types.LatestSignerForChainID(new(big.Int).SetUint64(s.ChainID)), &types.DynamicFeeTx{
			ChainID: new(big.Int).SetUint64(s.ChainID), Nonce: s.Nonce, GasTipCap: s.Tip, GasFeeCap: s.FeeCap, Gas: s.Gas, To: &s.To, Data: s.Data,
		})
		must(t, err)
		s.Raw, err = tx.MarshalBinary()
		must(t, err)
		s.Hash = tx.Hash()
		_, r, sig := tx.RawSignatureValues()
		if i%25 == 0 || r.BitLen() <= 248 || sig.BitLen() <= 247 {
			all = append(all, s)
		}
	}
	text, err := json.MarshalIndent(all, "", " ")
	must(t, err)
	const file = "../rails/filecoinpay/testdata/transactions.json"
	if *update {
		must(t, os.MkdirAll("../rails/filecoinpay/testdata", 0o755))
		must(t, os.WriteFile(file, append(text, '\n'), 0o644))
	}
	has, err := os.ReadFile(file)
	must(t, err)
	if string(has) != string(text)+"\n" {
		t.Errorf("%s is not what go-ethereum signs: run this test with -update", file)
	}
}
