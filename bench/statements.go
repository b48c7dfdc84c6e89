package main

// The statements of the bare driver loop. They are those of scyllastate, and a
// test compares them; the one that fills changes is generated there.
const (
	selectPin    = "SELECT rev, prev, pin FROM pins WHERE cid = ?"
	selectExists = "SELECT rev, rf_min FROM pins WHERE cid = ?"
	casPut       = "UPDATE pins SET rev = ?, prev = ?, pin = ?, rf_min = ?, rf_max = ?, created = ?, peers = ? WHERE cid = ? IF rev = ? AND pin != ?"
	casRemove    = "UPDATE pins USING TTL ? SET rev = ?, prev = ?, pin = null, rf_min = null, rf_max = null, created = null, peers = null WHERE cid = ? IF rev = ? AND pin != ?"
	selectRange  = "SELECT token(cid), cid, rev, pin FROM pins WHERE token(cid) > ? AND token(cid) <= ?"
	bulkPut      = "UPDATE pins USING TIMESTAMP ? SET rev = ?, pin = ?, rf_min = ?, rf_max = ?, created = ?, peers = ? WHERE cid = ?"
	putPlacement = "UPDATE placements USING TIMESTAMP ? SET rev = ?, status = ?, updated = ?, attempts = ?, size = ?, error = ?, depth = ? WHERE peer = ? AND bucket = ? AND cid = ?"
	insertBucket = "INSERT INTO buckets (holder, bucket) VALUES (?, ?)"
	insertChange = "INSERT INTO changes (feed,slot,at,cid,rev,prev,kind,traceparent) VALUES (?,?,?,?,?,?,?,?) "
)

// fillPin writes the columns that casPut does, without the condition: nobody
// else writes while the bench fills a keyspace.
const fillPin = "UPDATE pins SET rev = ?, pin = ?, rf_min = ?, rf_max = ?, created = ?, peers = ? WHERE cid = ?"

// What the gateway's lists of pins read. The timestamp is the row's own.
const (
	insertSlice    = "INSERT INTO slices (tenant, slice) VALUES (?, ?)"
	insertByStatus = "INSERT INTO by_status (tenant, status, slice, created, rnd, cid, name, owner, meta, info, delegates, size, rf_min, rf_max) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)

// The statements of the bare loop that writes what events of claims come to. They are those of
// billing/ledger, and a test compares them.
const (
	updateClaim  = "UPDATE claims USING TIMESTAMP ? SET name = ?, terms = terms + ?, pinned = pinned + ?, removed = removed + ?, sizes = sizes + ?, unsized = ? WHERE owner = ? AND bucket = ? AND request_id = ?"
	insertFact   = "INSERT INTO facts (owner, day, bucket, id, at, bytes, pins, kind, request_id, cid, ingested) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	insertActive = "INSERT INTO active (day, shard, owner, bucket) VALUES (?, ?, ?, ?)"
)

const (
	dropKeyspace = "DROP KEYSPACE IF EXISTS "
	// countRequests tells how many requests each connection has made. Only
	// Cassandra has the table, and each node knows its own connections.
	countRequests = "SELECT keyspace_name, request_count FROM system_views.clients"
)
