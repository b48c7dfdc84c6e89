package audittable

// The statements, one of each kind.
const (
	insertLines       = "INSERT INTO audit_records (writer, block, seq, lines, process) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?"
	selectLast        = "SELECT seq, lines FROM audit_records WHERE writer = ? AND block = ? ORDER BY seq DESC LIMIT 1"
	updateNewest      = "UPDATE audit_writers USING TIMESTAMP ? SET newest = ? WHERE writer = ?"
	selectNewest      = "SELECT newest FROM audit_writers WHERE writer = ?"
	selectBlocks      = "SELECT DISTINCT writer, block FROM audit_records"
	selectRows        = "SELECT seq, lines FROM audit_records WHERE writer = ? AND block = ?"
	insertCheckpoint  = "INSERT INTO audit_checkpoints (writer, block, seq, hash, checkpoint) VALUES (?, ?, ?, ?, ?) USING TTL ?"
	selectCheckpoints = "SELECT checkpoint FROM audit_checkpoints"
)
