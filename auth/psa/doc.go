// Package psa is the Pinning Services API v1.0.0 of the gateway, over the requests of
// package pins.
//
// Promised: a client sees the requests of its tenant and no others; what it was told of
// with 202 is in every list and answer after, of every instance. A list that cannot be
// read whole is an error in the form of the specification, never a shorter list. Errors
// have a code in reason, from the table of package door, and in details what to do.
//
// count is exact up to 1,000 more than the limit, and then at least so much: clients need
// it to know whether there is another page.
package psa
