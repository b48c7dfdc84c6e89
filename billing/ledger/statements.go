package ledger

// Each of these may be sent again. Plain writes add, carry the timestamp by which the right one
// stays, or write what nobody else writes differently. Those with a condition make a row that is
// never changed, or write a mark.
const (
	updateClaim = "UPDATE claims USING TIMESTAMP ? SET name = ?, terms = terms + ?, pinned = pinned + ?, removed = removed + ?, sizes = sizes + ?, unsized = ? " +
		"WHERE owner = ? AND bucket = ? AND request_id = ?"
	selectAllClaims = "SELECT request_id, name, terms, pinned, removed, sizes, unsized FROM claims WHERE owner = ? AND bucket = ?"
	selectClaims    = selectAllClaims + " AND request_id IN ?"
	// An empty text is before all others.
	selectClaimsAfter = selectAllClaims + " AND request_id > ? LIMIT ?"

	insertFact = "INSERT INTO facts (owner, day, bucket, id, at, bytes, pins, kind, request_id, cid, ingested) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	selectFacts  = "SELECT id, at, bytes, pins, kind, request_id, cid FROM facts WHERE owner = ? AND day = ? AND bucket = ?"
	selectDeltas = "SELECT id, at, bytes, pins FROM facts WHERE owner = ? AND day = ? AND bucket = ?"
	selectStored = selectDeltas + " AND id IN ?"

	insertActive  = "INSERT INTO active (day, shard, owner, bucket) VALUES (?, ?, ?, ?)"
	selectActive  = "SELECT owner FROM active WHERE day = ? AND shard = ?"
	selectBuckets = "SELECT bucket FROM active WHERE day = ? AND shard = ? AND owner = ?"
	insertLate    = "INSERT INTO late (noted, shard, day, owner) VALUES (?, ?, ?, ?)"
	selectLate    = "SELECT day, owner FROM late WHERE noted = ? AND shard = ?"

	dayColumns = "opening_bytes, opening_pins, closing_bytes, closing_pins, byte_ms, pin_ms, peak_bytes, deltas, digest, negative, period, closed"
	insertDay  = "INSERT INTO days (owner, month, day, version, " + dayColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
	selectDay  = "SELECT day, version, " + dayColumns + " FROM days WHERE owner = ? AND month = ? AND day = ? AND version = ?"
	selectDays = "SELECT day, version, " + dayColumns + " FROM days WHERE owner = ? AND month = ?"
	// A month has its last days first, and of a day the last version.
	selectDayBefore = selectDays + " AND day < ? LIMIT 1"
	insertMonth     = "INSERT INTO owner_months (owner, month) VALUES (?, ?)"
	selectOwners    = "SELECT DISTINCT owner FROM owner_months"
	selectMonths    = "SELECT month FROM owner_months WHERE owner = ? AND month <= ?"

	insertAdjustment = "INSERT INTO adjustments (owner, period, id, day, version, byte_ms, pin_ms, old_digest, new_digest, reason) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	selectAdjustments = "SELECT id, day, version, byte_ms, pin_ms, old_digest, new_digest, reason FROM adjustments WHERE owner = ? AND period = ?"

	insertProgress = "INSERT INTO close_progress (day, shard, state, epoch, mark) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS"
	renewProgress  = "UPDATE close_progress SET epoch = ?, mark = ? WHERE day = ? AND shard = ? IF mark = ?"
	endProgress    = "UPDATE close_progress SET state = ?, owners = ?, digest = ?, mark = ? WHERE day = ? AND shard = ? IF epoch = ? AND state = ?"
	selectProgress = "SELECT state, owners, digest, epoch, mark FROM close_progress WHERE day = ? AND shard = ?"

	insertItem     = "INSERT INTO quarantine (day, shard, id, why, owner, payload, first) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	updateTimes    = "UPDATE quarantine USING TIMESTAMP ? SET last = ?, times = ? WHERE day = ? AND shard = ? AND id = ?"
	updateResolved = "UPDATE quarantine USING TIMESTAMP ? SET resolved = ?, resolved_at = ? WHERE day = ? AND shard = ? AND id = ?"
	selectTimes    = "SELECT times FROM quarantine WHERE day = ? AND shard = ? AND id = ?"
	selectItems    = "SELECT id, why, owner, payload, first, last, times, resolved, resolved_at FROM quarantine WHERE day = ? AND shard = ?"

	updateSizes      = "UPDATE sizes USING TIMESTAMP ? SET sizes = sizes + ? WHERE cid = ?"
	selectSizes      = "SELECT sizes FROM sizes WHERE cid = ?"
	insertUnsized    = "INSERT INTO unsized (cid, owner, request_id) VALUES (?, ?, ?) USING TIMESTAMP ?"
	deleteUnsized    = "DELETE FROM unsized USING TIMESTAMP ? WHERE cid = ? AND owner = ? AND request_id = ?"
	selectUnsized    = "SELECT owner, request_id FROM unsized WHERE cid = ?"
	selectAllUnsized = "SELECT cid, owner, request_id FROM unsized"

	selectConsumer = "SELECT state FROM consumers WHERE name = ?"
	updateConsumer = "UPDATE consumers SET state = ? WHERE name = ?"
)

// hotStatements are those of each batch of events.
func hotStatements() []string {
	return []string{updateClaim, selectClaims, insertActive, insertFact, selectProgress}
}
