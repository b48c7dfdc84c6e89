// Package accounts stores tenants, API keys, to whom credentials belong, what was revoked,
// and the nonces of logins and signed requests. Store is what the rooms for credentials ask;
// Service is what administrators change it with; Tenants is what the door asks.
//
// Promised:
//   - What was acknowledged is seen by every instance that asks the database after it, and
//     by those that remember what it said within 5 seconds: a key that was revoked, a tenant
//     that was disabled, a credential that was removed, a token that was revoked.
//   - A row that cannot be read as what it is to be is an error, never "there is none".
//   - Of those who take one nonce at a time one gets it, and of those who show one key to
//     First one is first. If the answer of the database is lost and cannot be had again,
//     nobody gets it.
//   - No secret is stored or logged: of keys there is an HMAC, of handles a digest.
//
// A tenant that is disabled: its keys, sessions and tokens stay good for the rooms that verify
// them, which know no tenant. The door asks Tenants.Get about the tenant of each principal,
// whatever it has shown, and lets none of the tenant in from 5 seconds later on.
//
// What happens if a write times out: it is sent again until its outcome is known. Conditional
// updates carry a revision of their own, by which one is known that was applied although its
// answer was lost; plain writes carry their timestamp, so that they may come any number of
// times, and late. When the outcome stays unknown the error says so, and the same call may be
// made again: a tenant that turns out to be there is ErrExists, a tenant of another revision
// ErrChanged, a credential is given or removed, a key is made a second time. The first one is
// in the list then, and nobody has its secret.
//
// A list has entries and rows in two partitions. An entry is written before its row and
// removed after it, and counts only if the row says the same moment: what is left of a write
// that died is not shown.
package accounts
