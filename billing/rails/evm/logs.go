package evm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Log is one that a contract has written.
type Log struct {
	Address   Address  `json:"address"`
	Topics    []Hash   `json:"topics"`
	Data      Data     `json:"data"`
	Block     Quantity `json:"blockNumber"`
	BlockHash Hash     `json:"blockHash"`
	TxHash    Hash     `json:"transactionHash"`
	// Index is its place among all logs of the block.
	Index   Quantity `json:"logIndex"`
	Removed bool     `json:"removed"`
}

// ID names it, as long as it keeps its place in the block.
func (l Log) ID() string { return fmt.Sprintf("%s:%d", l.TxHash, l.Index) }

// same tells whether both are one log in one block.
func (l Log) same(o Log) bool {
	return l.BlockHash == o.BlockHash && l.TxHash == o.TxHash && l.Index == o.Index && l.Address == o.Address &&
		slices.Equal(l.Topics, o.Topics) && slices.Equal(l.Data, o.Data)
}

// Query says which logs are asked for.
type Query struct {
	// Addresses are the contracts that may have written it: at least one.
	Addresses []Address
	// Topics are what each topic may be, in their order. An empty one may be anything.
	Topics [][]Hash
}

func (q Query) matches(l Log) bool {
	if !slices.Contains(q.Addresses, l.Address) || len(l.Topics) < len(q.Topics) {
		return false
	}
	for i, any := range q.Topics {
		if len(any) > 0 && !slices.Contains(any, l.Topics[i]) {
			return false
		}
	}
	return true
}

// Logs returns the logs of blocks from to to, both included, in their order. It asks for
// smaller ranges where the node refuses a large one. A log that was not asked for is an
// error: such a node is not to be trusted.
func (c *Client) Logs(ctx context.Context, q Query, from, to uint64) ([]Log, error) {
	logs, err := c.logs(ctx, q, from, to)
	if err != nil {
		if to == from || !splittable(err) {
			return nil, err
		}
		middle := from + (to-from)/2
		first, err := c.Logs(ctx, q, from, middle)
		if err != nil {
			return nil, err
		}
		second, err := c.Logs(ctx, q, middle+1, to)
		return append(first, second...), err
	}
	for _, l := range logs {
		if l.Removed || uint64(l.Block) < from || uint64(l.Block) > to || l.BlockHash == (Hash{}) || l.TxHash == (Hash{}) || !q.matches(l) {
			return nil, fmt.Errorf("%s: eth_getLogs: the log %s of block %d was not asked for, between %d and %d", c.name, l.ID(), l.Block, from, to)
		}
	}
	slices.SortFunc(logs, func(a, b Log) int {
		return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Index, b.Index))
	})
	return logs, nil
}

// splittable tells whether a smaller range may help: the nodes have many words for it.
func splittable(err error) bool {
	var refused *RPCError
	var status statusError
	return errors.As(err, &refused) || errors.Is(err, errTooLarge) || errors.As(err, &status) &&
		(status == http.StatusRequestEntityTooLarge || status == http.StatusBadRequest)
}

func (c *Client) logs(ctx context.Context, q Query, from, to uint64) ([]Log, error) {
	topics := make([]any, len(q.Topics))
	for i, any := range q.Topics {
		if len(any) > 0 {
			topics[i] = any
		}
	}
	var logs []Log
	err := c.call(ctx, &logs, "eth_getLogs", map[string]any{
		"fromBlock": Quantity(from), "toBlock": Quantity(to), "address": q.Addresses, "topics": topics,
	})
	return logs, err
}
