// Package notice is what billing tells: that an invoice was issued, was paid or is overdue, that
// somebody has used much of what they meant to spend. A Notice is a CloudEvent (1.0, JSON) with a
// version in its type; a file of testdata has each. It imports the standard library only.
//
// The ID of a notice follows from what it tells. Whoever receives one twice, which happens after
// crashes, knows it by its source and its ID, and the bytes are the same. Their order is open.
package notice
