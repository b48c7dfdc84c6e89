package keyspace

import "github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"

// firstUpdates are conditional updates that change nothing, one of each table that has some:
// the first of a table may take long, see scylla.DB.ApplySchema.
func firstUpdates() []scylla.Statement {
	var out []scylla.Statement
	for _, text := range []string{
		"UPDATE tenants SET name = 'x' WHERE id = 'first' IF name = 'x'",
		"UPDATE api_keys SET env = 'x' WHERE id = 'first' IF env = 'x'",
		"UPDATE credentials SET principal = 'x' WHERE credential = 'first' IF principal = 'x'",
		"UPDATE nonces SET client = 'x' WHERE nonce = 'first' IF client = 'x'",
		"DELETE FROM replays WHERE key = 'first' IF EXISTS",
		"DELETE FROM audit_records WHERE writer = 'first' AND block = 0 AND seq = 0 IF EXISTS",
		"UPDATE usage SET pins = 0 WHERE tenant = 'first' IF pins = 1",
		"DELETE FROM freed WHERE tenant = 'first' AND created = 0 AND rnd = 0 IF EXISTS",
	} {
		out = append(out, scylla.Bind(text))
	}
	return out
}
