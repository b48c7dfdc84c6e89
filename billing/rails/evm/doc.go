// Package evm reads chains of Ethereum's kind over JSON-RPC, and can send a transaction
// there. It has the few methods that rails need, and no node, wallet or ABI of its own.
//
// A Watcher tells a rail of the logs that it asks for: at once as seen, and as final when
// the block can no longer be replaced. What was seen and is gone by then is told as dropped.
//
// What is promised, whatever stops in between and however many processes watch:
//
//   - Every log of a final block is told as final, from the start block on. Blocks count as
//     read in segments of 1,000, when all of a segment was told and the rail has kept it.
//     The segment before the open one is read again each time, for nodes that lag.
//   - A log is told as final only if the block at its height has its hash, and the receipt
//     of its transaction has it too, at each of the nodes that are configured.
//   - A chain whose finished segments have other blocks than before is an error that stays
//     (ErrForked), and so is another chain id: nothing is told of it.
//
// The hash of a block is what the node says, never computed: on Filecoin and on some
// rollups it is not that of the fields which JSON-RPC shows.
//
// A node's word is trusted, as far as a second node that is configured does not contradict.
// A URL may have a key in it, and is in no error.
package evm
