package scyllastate

import (
	"time"

	"github.com/scylladb/gocqlx/v2/table"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Constants of schema version 1. They shape the stored data and are no
// configuration.
const (
	// slotLength is the time that one partition of a feed spans.
	slotLength = time.Minute
	// feedTTL is how long a change can be read; the schema file repeats it.
	feedTTL = 7 * 24 * time.Hour
	// writeDeadline is how long the append of feed rows may take; one that
	// took longer is made again.
	writeDeadline = 10 * time.Second
	// maxClockSkew is how far a writer's clock may be from the database's.
	maxClockSkew = 500 * time.Millisecond
	// everywhereShards spreads the changes that concern every peer.
	everywhereShards = 4
)

// sentinel is a value that no pin column ever holds. "pin != sentinel" is true
// for every row, also where pin is null; naming the column in the condition is
// what makes the server return it when the update is not applied.
//
//nolint:gochecknoglobals // a constant that Go cannot write as one
var sentinel = []byte{0xff}

// changesTable is the one table that is written with generated statements: its
// rows are plain structs.
//
//nolint:gochecknoglobals // never changed
var changesTable = table.New(table.Metadata{
	Name:    "changes",
	Columns: []string{"feed", "slot", "at", "cid", "rev", "prev", "kind", "traceparent"},
	PartKey: []string{"feed", "slot"},
	SortKey: []string{"at", "cid"},
})

// Every statement that the package sends. They are prepared by the driver at
// their first use.
const (
	// Point reads of one pin.
	selectPin    = "SELECT rev, prev, pin FROM pins WHERE cid = ?"
	selectPins   = "SELECT cid, rev, prev, pin FROM pins WHERE cid IN ?"
	selectExists = "SELECT rev, rf_min FROM pins WHERE cid = ?"

	// The conditional writes. An unset prev leaves the column alone: there
	// is none when the row is new.
	casPut    = "UPDATE pins SET rev = ?, prev = ?, pin = ?, rf_min = ?, rf_max = ?, created = ?, peers = ? WHERE cid = ? IF rev = ? AND pin != ?"
	casRemove = "UPDATE pins USING TTL ? SET rev = ?, prev = ?, pin = null, rf_min = null, rf_max = null, created = null, peers = null WHERE cid = ? IF rev = ? AND pin != ?"
	casFence  = "UPDATE pins SET rev = ?, prev = ? WHERE cid = ? IF rev = ? AND pin != ?"

	// One range of the ring; the dialect may append to it.
	selectRange = "SELECT token(cid), cid, rev, pin FROM pins WHERE token(cid) > ? AND token(cid) <= ?"

	selectChanges = "SELECT at, cid, rev, prev, kind, traceparent FROM changes WHERE feed = ? AND slot = ? AND at > ? AND at <= ?"
	// selectEvents is selectChanges for a feed of events.
	selectEvents = "SELECT at, cid, rev, prev, kind, traceparent, peer, size, error FROM changes WHERE feed = ? AND slot = ? AND at > ? AND at <= ?"
	// insertEvent is the insert of changesTable for what peers did and became.
	insertEvent = "INSERT INTO changes (feed, slot, at, cid, rev, kind, traceparent, peer, size, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	// selectShared is selectChanges for several feeds.
	selectShared = "SELECT at, cid, rev, prev, kind, traceparent FROM changes WHERE feed IN ? AND slot = ? AND at > ? AND at <= ?"

	// The row id of the one row of cluster is ownerRow.
	selectOwner = "SELECT name, fingerprint, claimed, claimed_by FROM cluster WHERE id = ?"
	writeOwner  = "UPDATE cluster SET name = ?, fingerprint = ?, claimed = ?, claimed_by = ? WHERE id = ? IF fingerprint = ? AND name = ?"
	selectGrace = "SELECT unpin_grace FROM cluster WHERE id = ?"
	writeGrace  = "UPDATE cluster SET unpin_grace = ? WHERE id = ? IF unpin_grace = ?"

	selectEventsSince = "SELECT events_since FROM cluster WHERE id = ?"
	writeEventsSince  = "UPDATE cluster SET events_since = ? WHERE id = ? IF events_since = null"

	selectCursor  = "SELECT position, incarnation FROM cursors WHERE feed = ? AND consumer = ?"
	selectCursors = "SELECT feed, consumer, position, incarnation FROM cursors"
	openCursor    = "UPDATE cursors SET position = ? WHERE feed = ? AND consumer = ? IF incarnation = null AND position = null"
	claimCursor   = "UPDATE cursors SET position = ?, incarnation = ? WHERE feed = ? AND consumer = ? IF incarnation = ?"
	moveCursor    = "UPDATE cursors SET position = ? WHERE feed = ? AND consumer = ? IF incarnation = ?"

	// What the peers hold. There is no INSERT: a row without cells is none.
	putPlacement     = "UPDATE placements USING TIMESTAMP ? SET rev = ?, status = ?, updated = ?, attempts = ?, size = ?, error = ?, depth = ? WHERE peer = ? AND bucket = ? AND cid = ?"
	putSize          = "UPDATE placements USING TIMESTAMP ? SET size = ? WHERE peer = ? AND bucket = ? AND cid = ?"
	dropPlacement    = "DELETE FROM placements USING TIMESTAMP ? WHERE peer = ? AND bucket = ? AND cid = ?"
	selectPlacement  = "SELECT cid, rev, status, updated, attempts, size, error, depth FROM placements WHERE peer = ? AND bucket = ? AND cid = ?"
	selectPlacements = "SELECT cid, rev, status, updated, attempts, size, error, depth FROM placements WHERE peer = ? AND bucket = ?"
	// selectPlacementOf is selectPlacement for several peers.
	selectPlacementOf = "SELECT peer, cid, rev, status, updated, attempts, size, error, depth FROM placements WHERE peer IN ? AND bucket = ? AND cid = ?"
	// selectPlacementsOf is selectPlacements for several buckets.
	selectPlacementsOf = "SELECT bucket, cid, rev, status, updated, attempts, size, error, depth FROM placements WHERE peer = ? AND bucket IN ?"

	// The buckets in use. Their rows have no cells: an UPDATE would make none.
	insertBucket  = "INSERT INTO buckets (holder, bucket) VALUES (?, ?)"
	selectBuckets = "SELECT bucket FROM buckets WHERE holder = ?"
	dropBuckets   = "DELETE FROM buckets WHERE holder = ?"

	// Pins that every peer holds.
	insertEverywhere     = "INSERT INTO everywhere (bucket, cid, rev) VALUES (?, ?, ?) USING TIMESTAMP ?"
	deleteEverywhere     = "DELETE FROM everywhere USING TIMESTAMP ? WHERE bucket = ? AND cid = ?"
	selectEverywhere     = "SELECT cid, rev, WRITETIME(rev) FROM everywhere WHERE bucket = ?"
	selectEverywhereKeys = "SELECT cid FROM everywhere WHERE bucket = ?"
	selectEverywhereOf   = "SELECT bucket, cid FROM everywhere WHERE bucket IN ?"

	// When pins run out, and how far that was looked at.
	insertExpiry   = "INSERT INTO expiries (slot, shard, cid, due) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
	selectExpiries = "SELECT cid, due FROM expiries WHERE slot = ? AND shard = ?"
	setPosition    = "UPDATE cursors USING TIMESTAMP ? SET position = ? WHERE feed = ? AND consumer = ?"

	// Who the peers are changes by condition only. latest is of the partition,
	// and names the row that was written last.
	selectLatest  = "SELECT DISTINCT latest FROM peers WHERE cluster = ?"
	selectMembers = "SELECT latest, version, peer, name, role, addresses, incarnation, instance, leaving, removed FROM peers WHERE cluster = ?"
	selectMember  = selectMembers + " AND peer = ?"
	writeMember   = "UPDATE peers SET latest = ?, version = ?, name = ?, role = ?, addresses = ?, incarnation = ?, instance = ?, leaving = ?, removed = ? WHERE cluster = ? AND peer = ? IF incarnation = ? AND leaving = ? AND removed = ?"

	// Their heartbeats.
	selectBeats   = "SELECT peer, beat FROM beats WHERE shard = ?"
	selectMetrics = "SELECT peer, beat, metrics FROM beats WHERE shard = ? AND peer IN ?"
	writeBeat     = "UPDATE beats USING TTL ? AND TIMESTAMP ? SET beat = (?, ?, ?, ?), metrics = ? WHERE shard = ? AND peer = ?"

	// When they last ran, without a time to live. A row of which only that is left is
	// no heartbeat.
	selectLastBeats = "SELECT peer, last, zone FROM beats WHERE shard = ?"
	writeLastBeat   = "UPDATE beats USING TIMESTAMP ? SET last = ?, zone = ? WHERE shard = ? AND peer = ?"

	// Whether the pinset is in use, and what is brought into it. live, live_by
	// and holder are of the partition, not of a row.
	selectLive       = "SELECT DISTINCT live, live_by, holder FROM migrations WHERE scope = ?"
	setLive          = "UPDATE migrations SET live = ?, live_by = ? WHERE scope = ? IF live = null"
	selectMigrations = "SELECT id, run, phase, bulk, fingerprint, options, position, records, copied, kept, bad, removed, started, updated, report FROM migrations WHERE scope = ?"
	writeMigration   = "UPDATE migrations SET holder = ?, run = ?, phase = ?, bulk = ?, fingerprint = ?, options = ?, position = ?, records = ?, copied = ?, kept = ?, bad = ?, removed = ?, started = ?, updated = ?, report = ? WHERE scope = ? AND id = ? IF holder = ? AND live = ?"

	// Pins that are brought in before the pinset is in use. Their timestamps
	// are so old that they lose to every conditional write.
	bulkPut         = "UPDATE pins USING TIMESTAMP ? SET rev = ?, pin = ?, rf_min = ?, rf_max = ?, created = ?, peers = ? WHERE cid = ?"
	bulkRemove      = "DELETE FROM pins USING TIMESTAMP ? WHERE cid = ?"
	selectAnyMember = "SELECT peer FROM peers WHERE cluster = ? LIMIT 1"
	selectAnyCursor = "SELECT feed FROM cursors LIMIT 1"

	// Conditional updates that never apply, of each table that has some.
	firstPin       = "UPDATE pins SET rev = null WHERE cid = 0x00 IF rev = 00000000-0000-1000-8080-808080808080"
	firstCursor    = "UPDATE cursors SET position = null WHERE feed = '-' AND consumer = '-' IF incarnation = 00000000-0000-1000-8080-808080808080"
	firstOwner     = "UPDATE cluster SET name = null WHERE id = '-' IF name = '-'"
	firstMember    = "UPDATE peers SET name = null WHERE cluster = '-' AND peer = '-' IF incarnation = 00000000-0000-1000-8080-808080808080"
	firstMigration = "UPDATE migrations SET run = null WHERE scope = '-' AND id = '-' IF run = 0"
)

// hotStatements are those for which a pin, a peer or a client waits.
func hotStatements() []string {
	insertChange, _ := changesTable.Insert()
	return []string{
		selectPin, selectPins, selectExists, casPut, casRemove, casFence, insertChange, selectChanges, selectShared,
		selectCursor, moveCursor, putPlacement, dropPlacement, selectPlacement, selectPlacements, selectPlacementsOf, selectEverywhereOf,
		insertBucket, selectBuckets, insertEverywhere, insertExpiry, selectLatest, selectBeats, selectMetrics, writeBeat, selectLive,
	}
}

// firstUpdates are for ApplySchema.
func firstUpdates() []scylla.Statement {
	var out []scylla.Statement
	for _, text := range []string{firstPin, firstCursor, firstOwner, firstMember, firstMigration} {
		out = append(out, scylla.Bind(text))
	}
	return out
}
