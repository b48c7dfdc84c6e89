// Package door leads one request from its credential to its record: who asks, by which
// route, whether that is allowed, and what came of it. What is behind the door is served
// by the rooms of the APIs.
//
// Promised: no handler is called for a request without a principal, unless its route is
// open to all. What changes anything is decided and on record before it is done, and is
// refused (503) while no record can be written; what came of it is recorded after, also
// when the client has left or the handler panicked. A denial is recorded, too. What is
// not to be seen is answered as what is not there, with the same words.
//
// An attacker learns nothing from errors but what the table of errors says, cannot make
// the records grow without bound by failing (they are counted then), and cannot make
// others wait by asking often: each principal and each tenant has a rate.
package door
