// Package admin is the API by which tenants, keys and credentials are managed, and by which
// everybody manages the keys that are their own. What it can be asked, and what it answers, is
// in openapi.json, which it serves.
//
// Promised: what changes anything is decided, and on record, before it is done. Whoever makes
// a key or gives a credential gives no more than they have in the request that asks for it:
// no other tenant, no role or group and no scope that are not theirs, and with a key that is
// good in some networks no key that is good elsewhere. That holds for a key that takes the
// place of another one, too: whoever asks gets its secret. What that does not bound is time: a
// key may end later than the credential with which it was made.
//
// The exception are operators, who give tenants their first credentials: in a tenant that is
// not their own they may give any role and group, which are worth nothing outside of it.
//
// A policy of an operator's own that forbids something to a role does not reach a key from
// which the role was left out: forbid by what cannot be left out, as the owner.
//
// A tenant's admin gives DIDs only. The subject of an issuer is given by operators: whoever
// could give those of other tenants to principals of their own would lock others out.
package admin
