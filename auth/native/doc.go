// Package native is ipfs-cluster's REST API as a tenant sees it: the pins of the tenant,
// by the requests of package pins, and the state of their content, by a peer. What is for
// those who run the cluster goes to the peer, by the table of package routes.
//
// Promised: a tenant's pin, status or list never shows what another tenant said of a CID,
// nor a CID that the tenant has not asked for. A pin that is made here has an owner and a
// claim like one of the Pinning Services API. A list that cannot be read whole ends with a
// cut connection, never as a shorter list.
//
// Not as upstream's: the allocations of a pin are empty (which peers hold it is the
// cluster's matter; GET /pins says it), one CID is listed as often as the tenant has asked
// for it, and expiry, user allocations, updates and direct pins are refused by name.
package native
