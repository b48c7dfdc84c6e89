package keyspace

import "github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"

// firstUpdates are conditional updates that change nothing, one of each table that has some:
// the first of a table may take long, see scylla.DB.ApplySchema.
func firstUpdates() []scylla.Statement {
	var out []scylla.Statement
	for _, text := range []string{
		"DELETE FROM days WHERE owner = 'first' AND month = 0 AND day = 0 AND version = 0 IF EXISTS",
		"DELETE FROM close_progress WHERE day = 0 AND shard = -1 IF EXISTS",
		"DELETE FROM plans WHERE plan = 'first' AND version = 0 IF EXISTS",
		"DELETE FROM owner_plans WHERE owner = 'first' AND effective = 0 IF EXISTS",
		"DELETE FROM invoices WHERE owner = 'first' AND period = 0 AND rev = 0 IF EXISTS",
		"DELETE FROM numbers WHERE series = 'first' AND block = 0 AND number = 0 IF EXISTS",
		"DELETE FROM movements WHERE rail = 'first' AND id = 'first' IF EXISTS",
		"DELETE FROM runs WHERE period = 0 IF EXISTS",
		"DELETE FROM remembered WHERE rail = 'first' AND key = 'first' IF EXISTS",
	} {
		out = append(out, scylla.Bind(text))
	}
	return out
}
