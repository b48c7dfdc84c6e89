// Package routes is the list of all that a client can ask the gateway for: the routes
// of ipfs-cluster's REST API (Native), of the Pinning Services API (Pinning), of logins (Login),
// of the management of tenants and keys (Admin) and of the pages for people (Web), each with
// its class, the action it asks authz for, and what the gateway does with it.
//
// What is promised: a route that is not listed does not exist, so a route that a later
// ipfs-cluster adds is closed until somebody has classified it (a test compares the
// table with upstream's source). What Match accepts means the same to the gateway and
// to the peer behind it: nothing is normalised, and whatever two programs might read
// in two ways is refused.
//
// What an attacker cannot do: reach a route by another spelling of its path (double
// slashes, dot segments, escapes, a slash at the end), by another method than that
// of the request line, by headers that name another path, or by an upgrade of the
// connection; have a header removed on the way by naming it in Connection; or send
// the peer a header of their own that it takes for the gateway's (Outbound).
//
// All functions may be called by any number of goroutines at once.
package routes
