// Package gateway puts the rooms of auth together: from a configuration to an
// http.Handler with everything behind it.
//
//	/psa/…       the Pinning Services API (also at /api/v1/…, as some clients expect it)
//	/cluster/…   ipfs-cluster's REST API
//	/admin/…     tenants, their keys and credentials; and /keys, one's own keys
//	/auth/…      logins
//	/ui/…        pages for people
//
// Any number of gateways work on one keyspace; none has state of its own but what it
// remembers for seconds.
package gateway
