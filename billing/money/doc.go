// Package money holds amounts: exact decimals with a currency.
//
// A Currency has a number of digits, which say what its smallest unit is: the cent of
// USD, the yen, the fils of KWD, the wei of USDFC. ByCode knows the currencies of ISO
// 4217 and the tokens that a payment may come in.
//
// What is promised:
//
//   - An amount is what was written. It is read from a text only, never from a float:
//     a number in JSON is refused, and so is an exponent.
//   - Nothing is rounded unless Divide, Quotient or Round is called, which round once,
//     by a mode that the caller names.
//   - Amounts of different currencies are never added or compared: that is an error.
//   - What does not fit is an error: an amount finer than the smallest unit has no Minor,
//     one beyond 63 bits no MinorInt64.
//
// Values are never changed once they are made. They may be copied, and used by any number
// of goroutines at once. Compare them with Cmp: one value has several forms in memory,
// for which == may be false.
package money
