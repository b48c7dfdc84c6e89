package chaintest

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/ethclient/simulated"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

const chainID = 1337 // of every simulated chain

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// account is one that has some of the chain's own currency.
type account struct{ key *ecdsa.PrivateKey }

func (a account) address() common.Address { return crypto.PubkeyToAddress(a.key.PublicKey) }

// chain is a simulated one, with a node that answers over HTTP.
type chain struct {
	t                      *testing.T
	backend                *simulated.Backend
	client                 *ethclient.Client
	rpc                    *rpc.Client
	url                    string
	owner, payer, operator account

	mu     sync.Mutex
	before func(method string, params []json.RawMessage) (result any, err *nodeError)
	after  func(method string, params []json.RawMessage, result json.RawMessage) json.RawMessage
	calls  map[string]int
}

// nodeError is what a node answers in place of a result.
type nodeError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t, calls: make(map[string]int)}
	alloc := types.GenesisAlloc{}
	for _, a := range []*account{&c.owner, &c.payer, &c.operator} {
		key, err := crypto.GenerateKey()
		must(t, err)
		*a = account{key}
		alloc[a.address()] = types.Account{Balance: new(big.Int).Mul(big.NewInt(1000), evm.Pow10(18))}
	}
	dir, err := os.MkdirTemp("", "sim") // a socket's name must be short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "rpc")
	c.backend = simulated.NewBackend(alloc, func(config *node.Config, _ *ethconfig.Config) { config.IPCPath = socket })
	t.Cleanup(func() { _ = c.backend.Close() })
	c.rpc, err = rpc.Dial(socket)
	must(t, err)
	t.Cleanup(c.rpc.Close)
	c.client = ethclient.NewClient(c.rpc)
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.url = server.URL
	c.mine(1)
	return c
}

// serve answers JSON-RPC, as a node does, but for what before and after say.
func (c *chain) serve(w http.ResponseWriter, r *http.Request) {
	var question struct {
		ID     json.RawMessage   `json:"id"`
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&question); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	before, after := c.before, c.after
	c.calls[question.Method]++
	c.mu.Unlock()
	answer := map[string]any{"jsonrpc": "2.0", "id": question.ID}
	var result any
	var failed *nodeError
	if before != nil {
		result, failed = before(question.Method, question.Params)
	}
	switch {
	case failed != nil:
		answer["error"] = failed
	case result != nil:
		answer["result"] = result
	default:
		params := make([]any, len(question.Params))
		for i, p := range question.Params {
			params[i] = p
		}
		var raw json.RawMessage
		if err := c.rpc.CallContext(r.Context(), &raw, question.Method, params...); err != nil {
			answer["error"] = nodeError{-32000, err.Error()}
			break
		}
		if raw == nil {
			raw = json.RawMessage("null")
		}
		if after != nil {
			raw = after(question.Method, question.Params, raw)
		}
		answer["result"] = raw
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// intercept sets what is answered before the node is asked: nil and nil asks it.
func (c *chain) intercept(before func(method string, params []json.RawMessage) (any, *nodeError)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = before
}

// alter sets what is made of the node's answers.
func (c *chain) alter(after func(method string, params []json.RawMessage, result json.RawMessage) json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = after
}

func (c *chain) called(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

func (c *chain) mine(n int) {
	for range n {
		c.backend.Commit()
	}
}

func (c *chain) head() uint64 {
	c.t.Helper()
	n, err := c.client.BlockNumber(context.Background())
	must(c.t, err)
	return n
}

// rewind takes the last n blocks away. Their transactions wait for a block again.
func (c *chain) rewind(n uint64) {
	c.t.Helper()
	header, err := c.client.HeaderByNumber(context.Background(), new(big.Int).SetUint64(c.head()-n))
	must(c.t, err)
	must(c.t, c.backend.Fork(header.Hash()))
}

// send has an account send a transaction, which waits for a block. tip is in gwei: a
// greater one takes the place of another with the same nonce.
func (c *chain) send(from account, nonce uint64, tip int64, to *common.Address, data []byte) common.Hash {
	c.t.Helper()
	gwei := big.NewInt(1_000_000_000)
	tx, err := types.SignNewTx(from.key, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, To: to, Data: data, Gas: 5_000_000,
		GasTipCap: new(big.Int).Mul(gwei, big.NewInt(tip)), GasFeeCap: new(big.Int).Mul(gwei, big.NewInt(20*tip)),
	})
	must(c.t, err)
	err = c.client.SendTransaction(context.Background(), tx)
	// The pool learns of a rewound chain in the background.
	for deadline := time.Now().Add(time.Minute); err != nil && strings.Contains(err.Error(), "nonce too low") && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		err = c.client.SendTransaction(context.Background(), tx)
	}
	must(c.t, err)
	return tx.Hash()
}

func (c *chain) nonce(of account) uint64 {
	c.t.Helper()
	n, err := c.client.PendingNonceAt(context.Background(), of.address())
	must(c.t, err)
	return n
}

// do has an account call a contract, and mines the block.
func (c *chain) do(from account, to contract, method string, args ...any) *types.Receipt {
	c.t.Helper()
	hash := c.send(from, c.nonce(from), 1, &to.at, to.pack(c.t, method, args...))
	c.mine(1)
	receipt, err := c.client.TransactionReceipt(context.Background(), hash)
	must(c.t, err)
	if receipt.Status != 1 {
		c.t.Fatalf("%s failed", method)
	}
	return receipt
}

// contract is one that was deployed.
type contract struct {
	at  common.Address
	abi abi.ABI
}

func (k contract) pack(t *testing.T, method string, args ...any) []byte {
	t.Helper()
	data, err := k.abi.Pack(method, args...)
	must(t, err)
	return data
}

// deploy deploys a contract of a directory.
func (c *chain) deploy(bin, abiFile string, args ...any) contract {
	c.t.Helper()
	text, err := os.ReadFile(abiFile)
	must(c.t, err)
	parsed, err := abi.JSON(strings.NewReader(string(text)))
	must(c.t, err)
	text, err = os.ReadFile(bin)
	must(c.t, err)
	code, err := hex.DecodeString(strings.TrimSpace(string(text)))
	must(c.t, err)
	packed, err := parsed.Pack("", args...)
	must(c.t, err)
	hash := c.send(c.owner, c.nonce(c.owner), 1, nil, append(code, packed...))
	c.mine(1)
	receipt, err := c.client.TransactionReceipt(context.Background(), hash)
	must(c.t, err)
	if receipt.Status != 1 {
		c.t.Fatalf("deploying %s failed", bin)
	}
	return contract{receipt.ContractAddress, parsed}
}

func (c *chain) token(name string, digits uint8) contract {
	return c.deploy("contracts/Token.bin", "contracts/Token.abi", name, digits)
}

func (c *chain) config() evm.Config {
	return evm.Config{Name: "sim", ChainID: chainID, RPCURL: c.url, Confirmations: 5, StartBlock: 1}
}

func id(hash common.Hash, index uint) string { return fmt.Sprintf("%d:%s:%d", chainID, hash, index) }

// answerChain has the node say that it is of another chain.
func (c *chain) answerChain(n uint64) {
	c.intercept(func(method string, _ []json.RawMessage) (any, *nodeError) {
		if method == "eth_chainId" {
			return evm.Quantity(n), nil
		}
		return nil, nil
	})
}
