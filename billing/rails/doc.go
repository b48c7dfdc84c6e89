// Package rails is what ways to be paid have in common: what they are asked, what they
// answer, and where they keep what they must not forget.
//
// Our invoice is the truth. A rail asks for its payment (Collector) and tells what came of
// that (Journal.Record); it makes no invoice of ours, and changes none. It has no table: a
// Journal is given to it.
//
// Amounts are whole numbers of the smallest unit of their currency, of any size.
package rails
