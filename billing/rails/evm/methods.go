package evm

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Block is what is read of a block.
type Block struct {
	Number  Quantity `json:"number"`
	Hash    Hash     `json:"hash"`
	Seconds Quantity `json:"timestamp"`
	// BaseFee is zero where the chain has none.
	BaseFee Wei `json:"baseFeePerGas"`
}

// Time is when it was made, by its chain.
func (b Block) Time() time.Time { return time.Unix(int64(b.Seconds), 0).UTC() } //nolint:gosec // seconds since 1970

// Receipt is what came of a transaction that is in a block.
type Receipt struct {
	TxHash    Hash     `json:"transactionHash"`
	BlockHash Hash     `json:"blockHash"`
	Block     Quantity `json:"blockNumber"`
	// Status is 1 if it took effect, and 0 if it failed and only cost gas.
	Status  Quantity `json:"status"`
	GasUsed Quantity `json:"gasUsed"`
	Logs    []Log    `json:"logs"`
}

// Tx is what is read of a transaction.
type Tx struct {
	From Address `json:"from"`
	// BlockHash is nil while it waits for a block.
	BlockHash *Hash `json:"blockHash"`
}

// Call is what a contract is asked or told.
type Call struct {
	From Address `json:"from"`
	To   Address `json:"to"`
	Data Data    `json:"data"`
}

// Tags of blocks.
const (
	Latest    = "latest"
	Finalized = "finalized"
)

// ChainID asks which chain the node is of.
func (c *Client) ChainID(ctx context.Context) (uint64, error) {
	var id Quantity
	err := c.call(ctx, &id, "eth_chainId")
	return uint64(id), err
}

// errNullRound says that a round of Filecoin had no block.
var errNullRound = errors.New("the round has no block")

// Block returns the block with a number, nil if the node does not have it. It returns
// errNullRound if there is none for ever.
func (c *Client) Block(ctx context.Context, number uint64) (*Block, error) {
	tag, err := Quantity(number).MarshalText()
	if err != nil {
		return nil, err
	}
	block, err := c.block(ctx, string(tag))
	var refused *RPCError
	if errors.As(err, &refused) && strings.Contains(refused.Message, "null round") {
		return nil, errNullRound
	}
	if block != nil && uint64(block.Number) != number {
		return nil, fmt.Errorf("%s: the node gives block %d for %d", c.name, block.Number, number)
	}
	return block, err
}

// Tagged returns the block that a tag means now.
func (c *Client) Tagged(ctx context.Context, tag string) (Block, error) {
	block, err := c.block(ctx, tag)
	switch {
	case err != nil:
		return Block{}, err
	case block == nil:
		return Block{}, fmt.Errorf("%s: the node has no %s block", c.name, tag)
	}
	return *block, nil
}

func (c *Client) block(ctx context.Context, tag string) (*Block, error) {
	var block *Block
	if err := c.call(ctx, &block, "eth_getBlockByNumber", tag, false); err != nil {
		return nil, err
	}
	if block != nil && block.Hash == (Hash{}) {
		return nil, fmt.Errorf("%s: the block %s has no hash", c.name, tag)
	}
	return block, nil
}

// Receipt returns the receipt of a transaction, nil if it is in no block.
func (c *Client) Receipt(ctx context.Context, tx Hash) (*Receipt, error) {
	var receipt *Receipt
	if err := c.call(ctx, &receipt, "eth_getTransactionReceipt", tx); err != nil {
		return nil, err
	}
	if receipt != nil && (receipt.TxHash != tx || receipt.BlockHash == Hash{}) {
		return nil, fmt.Errorf("%s: the node gives the receipt of another transaction for %s, or one of no block", c.name, tx)
	}
	return receipt, nil
}

// Tx returns a transaction, nil if the node does not know it.
func (c *Client) Tx(ctx context.Context, tx Hash) (*Tx, error) {
	var found *Tx
	err := c.call(ctx, &found, "eth_getTransactionByHash", tx)
	return found, err
}

// Call asks a contract, which changes nothing.
func (c *Client) Call(ctx context.Context, call Call) (Data, error) {
	var result Data
	err := c.call(ctx, &result, "eth_call", call, Latest)
	return result, err
}

// EstimateGas returns how much gas a call would use as a transaction. It is an error if it
// would fail.
func (c *Client) EstimateGas(ctx context.Context, call Call) (uint64, error) {
	var gas Quantity
	err := c.call(ctx, &gas, "eth_estimateGas", call)
	return uint64(gas), err
}

// Nonce returns how many transactions of an account are in the chain.
func (c *Client) Nonce(ctx context.Context, account Address) (uint64, error) {
	var nonce Quantity
	err := c.call(ctx, &nonce, "eth_getTransactionCount", account, Latest)
	return uint64(nonce), err
}

// NonceAt returns how many of them are in the chain up to a height.
func (c *Client) NonceAt(ctx context.Context, account Address, number uint64) (uint64, error) {
	var nonce Quantity
	err := c.call(ctx, &nonce, "eth_getTransactionCount", account, Quantity(number))
	return uint64(nonce), err
}

// Balance returns how much of the chain's own currency an account has, in wei.
func (c *Client) Balance(ctx context.Context, account Address) (*big.Int, error) {
	var balance Wei
	err := c.call(ctx, &balance, "eth_getBalance", account, Latest)
	return balance.Int(), err
}

// Tip returns what miners are to be offered for each unit of gas, in wei.
func (c *Client) Tip(ctx context.Context) (*big.Int, error) {
	var tip Wei
	err := c.call(ctx, &tip, "eth_maxPriorityFeePerGas")
	return tip.Int(), err
}

// Send gives a signed transaction to the node. One that it has already is no error.
func (c *Client) Send(ctx context.Context, raw []byte) error {
	var hash Hash
	err := c.call(ctx, &hash, "eth_sendRawTransaction", Data(raw))
	var refused *RPCError
	if errors.As(err, &refused) {
		for _, same := range []string{"already known", "known transaction", "already in mempool", "alreadyknown"} {
			if strings.Contains(strings.ToLower(refused.Message), same) {
				return nil
			}
		}
	}
	return err
}
