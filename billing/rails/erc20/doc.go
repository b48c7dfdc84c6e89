// Package erc20 is paid in tokens that follow ERC-20, as USDC on Base, OP, Arbitrum or
// Filecoin. It only receives: it has no private key, and sends nothing.
//
// A Collector asks for an amount whose last digits, the tail, are those of one open invoice
// of its token only, with a link for wallets (EIP-681) and its QR code. A Rail watches the
// transfers to our addresses and tells which invoice they pay.
//
// What is promised:
//
//   - An invoice is paid by a transfer of exactly the amount that was asked, in the token
//     and on the chain where it was asked, when its block is final; and by one transfer
//     only. Before that the payment is told as seen, and not final.
//   - Any other transfer of a token of the configuration is told, too, without an invoice:
//     too little, too much, twice, after Cancel, on another chain, a token that is refused.
//     Its Detail names the invoice that it may be for. No amount is guessed to be one.
//   - Logs of contracts that are not in the configuration are not read, whatever they call
//     themselves. Transfers of nothing, and from our own addresses, are not told.
//   - A transfer that is gone before it is final is told as reversed.
//
// A tail is free again tailRest after its invoice was paid or cancelled. It never ends in
// zero, so that an amount that a wallet has cut off or rounded is no other one's.
//
// This was verified on go-ethereum's simulated chain, and on no public one.
package erc20
