package evm

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fakeNode answers for a chain of which nothing is stored: the hash of a block comes from its
// height and from the fork that it is on.
type fakeNode struct {
	mu          sync.Mutex
	head, final uint64
	// behind is how many of the last blocks it does not show by their numbers, nor their logs
	// and receipts.
	behind uint64
	// fork is on which fork the blocks from a height on are.
	forkAt, fork uint64
	null         []uint64 // rounds without a block
	logs         []Log
	// maxRange is how many blocks eth_getLogs takes at once, 0 for any number.
	maxRange uint64
	// hidden has eth_getLogs answer nothing, and noReceipts eth_getTransactionReceipt.
	hidden, noReceipts bool
	chain              uint64
	asked              map[string]int
	ranges             [][2]uint64
}

func (n *fakeNode) hash(number uint64) Hash {
	fork := uint64(0)
	if number >= n.forkAt {
		fork = n.fork
	}
	return Keccak(binary.BigEndian.AppendUint64(nil, number), binary.BigEndian.AppendUint64(nil, fork))
}

// write adds a log to a block.
func (n *fakeNode) write(number uint64, data byte) Log {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := Log{
		Address: Address{1}, Topics: []Hash{{2}}, Data: Data{data}, Block: Quantity(number), BlockHash: n.hash(number),
		TxHash: Keccak([]byte{data}), Index: Quantity(data),
	}
	n.logs = append(n.logs, l)
	return l
}

// set changes the node.
func (n *fakeNode) set(change func(*fakeNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// client returns one of the node, over HTTP.
func (n *fakeNode) client(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(server.Close)
	c := NewClient("fake", server.URL)
	t.Cleanup(c.Close)
	return c
}

func (n *fakeNode) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var question struct {
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&question); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if n.asked == nil {
		n.asked = make(map[string]int)
	}
	n.asked[question.Method]++
	result, err := n.answer(question.Method, question.Params)
	answer := map[string]any{"jsonrpc": "2.0", "id": 1, "result": result}
	if err != nil {
		answer = map[string]any{"jsonrpc": "2.0", "id": 1, "error": RPCError{-32005, err.Error()}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (n *fakeNode) answer(method string, params []json.RawMessage) (any, error) {
	switch method {
	case "eth_chainId":
		return Quantity(n.chain), nil
	case "eth_getBlockByNumber":
		return n.block(string(params[0]))
	case "eth_getTransactionReceipt":
		var tx Hash
		if err := json.Unmarshal(params[0], &tx); err != nil || n.noReceipts {
			return nil, err
		}
		return n.receipt(tx), nil
	case "eth_getLogs":
		return n.getLogs(params[0])
	}
	return nil, fmt.Errorf("there is no %s", method)
}

func (n *fakeNode) block(tag string) (any, error) {
	number := n.head
	switch tag {
	case `"latest"`:
	case `"finalized"`:
		number = n.final
	default:
		var q Quantity
		if err := json.Unmarshal([]byte(tag), &q); err != nil {
			return nil, err
		}
		number = uint64(q)
	}
	if number > n.head || strings.HasPrefix(tag, `"0x`) && number > n.head-n.behind {
		return nil, nil
	}
	if slices.Contains(n.null, number) {
		return nil, fmt.Errorf("requested epoch was a null round (%d)", number)
	}
	return map[string]any{"number": Quantity(number), "hash": n.hash(number), "timestamp": Quantity(1000 + number)}, nil
}

func (n *fakeNode) receipt(tx Hash) any {
	for _, l := range n.logs {
		if l.TxHash == tx && uint64(l.Block) <= n.head-n.behind {
			return map[string]any{"transactionHash": tx, "blockHash": l.BlockHash, "blockNumber": l.Block, "status": "0x1", "gasUsed": "0x1", "logs": []Log{l}}
		}
	}
	return nil
}

func (n *fakeNode) getLogs(param json.RawMessage) (any, error) {
	var query struct{ FromBlock, ToBlock Quantity }
	if err := json.Unmarshal(param, &query); err != nil {
		return nil, err
	}
	from, to := uint64(query.FromBlock), uint64(query.ToBlock)
	n.ranges = append(n.ranges, [2]uint64{from, to})
	if n.maxRange > 0 && to-from >= n.maxRange {
		return nil, fmt.Errorf("query exceeds max block range %d", n.maxRange)
	}
	found := []Log{}
	for _, l := range n.logs {
		if uint64(l.Block) >= from && uint64(l.Block) <= min(to, n.head-n.behind) && !n.hidden {
			found = append(found, l)
		}
	}
	return found, nil
}
