// Package filecoinpay charges invoices on rails of Filecoin Pay, the contract
// FilecoinPayV1: a payer has deposited a token there and approved us as operator, and we
// take what an invoice says with one one-time payment.
//
// It is the one room of billing that holds a private key, and only if it is configured: the
// operator's, from a file. The key can take from payers what they have allowed it, and only
// to the payee of a rail; it pays for gas and needs nothing else.
//
// What is promised, whatever stops in between and however many processes charge:
//
//   - An invoice is charged once. Which transaction charges it is kept before it is sent:
//     its nonce belongs to the invoice, and after a stop the very same bytes are sent again.
//     There is no second transaction while the first one may still take effect.
//   - A transaction that failed in the chain charges nothing, and is told as a Refusal when
//     its block is final. Somebody decides whether to begin again, with a greater revision.
//   - What is charged is what the invoice says, and the payment is of that: the gross
//     amount, of which the contract keeps a network fee of 0.5 % and credits us the rest.
//     The Detail of the payment tells both. Gross says what to put on an invoice if its
//     payer is to bear the fee.
//   - A payment is told as seen at once and as final when its block is. One that our key made
//     and nobody here knows of is told without an invoice.
//
// It was verified on go-ethereum's simulated chain, and not on Filecoin: neither gas there,
// nor rails in FIL itself, which need Filecoin's precompiles.
package filecoinpay
