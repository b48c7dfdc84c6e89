package pins

import (
	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// What of a row does not change, and what does.
const (
	fixed   = "cid, name, owner, origins, meta, rf_min, rf_max, region"
	changes = "info, delegates, size"
	columns = "slice, created, rnd, " + fixed + ", " + changes
	// noted is what is noted of a request to be told; the timestamp of sized says when.
	noted = "pinned, sized, WRITETIME(sized)"
)

const (
	insertPin = "INSERT INTO pins (tenant, status, " + columns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	updatePin = "UPDATE pins USING TIMESTAMP ? SET status = ?, info = ?, delegates = ?, size = ? WHERE tenant = ? AND slice = ? AND created = ? AND rnd = ?"
	deletePin = "DELETE FROM pins USING TIMESTAMP ? WHERE tenant = ? AND slice = ? AND created = ? AND rnd = ?"
	// Of a row of pins, the timestamp of the status is that of its last change.
	selectPin  = "SELECT status, WRITETIME(status), " + columns + ", " + noted + " FROM pins WHERE tenant = ? AND slice = ? AND created = ? AND rnd = ?"
	selectPins = "SELECT status, WRITETIME(status), " + columns + ", " + noted + " FROM pins WHERE tenant = ? AND slice = ? AND created > ? AND created < ?"

	updateNoted = "UPDATE pins USING TIMESTAMP ? SET pinned = ?, sized = ? WHERE tenant = ? AND slice = ? AND created = ? AND rnd = ?"

	insertEnded = "INSERT INTO ended (tenant, day, bucket, created, rnd, slice, removed, cid, name, rf_max, pinned, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	selectEnded = "SELECT slice, created, rnd, removed, cid, name, rf_max, pinned, size FROM ended WHERE tenant = ? AND day = ? AND bucket = ?"
	// Of one request, on some days.
	selectEndedOne = "SELECT slice, created, rnd, removed, cid, name, rf_max, pinned, size FROM ended WHERE tenant = ? AND day IN ? AND bucket = ? AND created = ? AND rnd = ?"

	insertByStatus = "INSERT INTO by_status (tenant, status, " + columns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	deleteByStatus = "DELETE FROM by_status USING TIMESTAMP ? WHERE tenant = ? AND status = ? AND slice = ? AND created = ? AND rnd = ?"
	// Here all cells are of one write.
	selectByStatus = "SELECT status, WRITETIME(cid), " + columns + " FROM by_status WHERE tenant = ? AND status = ? AND slice = ? AND created > ? AND created < ?"

	insertSlice  = "INSERT INTO slices (tenant, slice) VALUES (?, ?)"
	selectSlices = "SELECT slice FROM slices WHERE tenant = ? AND slice > ? AND slice < ?"

	insertClaim = "INSERT INTO claims (cid, tenant, created, rnd, slice, rf_min, rf_max, origins) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
	deleteClaim = "DELETE FROM claims USING TIMESTAMP ? WHERE cid = ? AND tenant = ? AND created = ? AND rnd = ?"
	selectClaim = "SELECT slice FROM claims WHERE cid = ? AND tenant = ? AND created = ? AND rnd = ?"
	// A partition without rows but with a status is one row without a tenant.
	selectClaims       = "SELECT tenant, created, rnd, slice, rf_min, rf_max, origins, status FROM claims WHERE cid = ?"
	selectTenantClaims = "SELECT slice, created, rnd FROM claims WHERE cid = ? AND tenant = ?"
	updateClaimed      = "UPDATE claims USING TIMESTAMP ? SET status = ? WHERE cid = ?"
	deleteClaimed      = "DELETE status FROM claims USING TIMESTAMP ? WHERE cid = ?"

	insertTodo = "INSERT INTO todo (shard, slot, cid, tenant, created, rnd, slice, made, tries, tell, removed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	selectTodo = "SELECT cid, tenant, created, rnd, slice, made, tries, tell, removed FROM todo WHERE shard = ? AND slot IN ?"
	insertDone = "INSERT INTO todo_done (shard, slot) VALUES (?, ?) USING TIMESTAMP ?"
	selectDone = "SELECT slot FROM todo_done WHERE shard = ?"
	insertTold = "INSERT INTO todo_told (shard, slot) VALUES (?, ?) USING TIMESTAMP ?"
	selectTold = "SELECT slot FROM todo_told WHERE shard = ?"

	selectUsage = "SELECT pins, bytes, reserved, gen, counted, rev FROM usage WHERE tenant = ?"
	updateUsage = "UPDATE usage SET pins = ?, bytes = ?, reserved = ?, gen = ?, counted = ?, rev = ? WHERE tenant = ? IF rev = ?"
	insertFreed = "INSERT INTO freed (tenant, created, rnd) VALUES (?, ?, ?) IF NOT EXISTS"
)

// row is a request as it is stored.
type row struct {
	key
	Request
	stamp int64 // of its last change, microseconds
	// What is noted of it to be told, see note.go. Not in by_status.
	pinned, sized, sizedStamp int64
}

// scan are the places of the columns of selectByStatus.
func (r *row) scan() []any {
	return []any{
		&r.Status, &r.stamp, &r.slice, &r.created, &r.rnd, &r.CID, &r.Name, &r.Owner, &r.Origins, &r.Meta,
		&r.ReplMin, &r.ReplMax, &r.Region, &r.Info, &r.Delegates, &r.Size,
	}
}

// scanPin are the places of the columns of selectPin and selectPins.
func (r *row) scanPin() []any { return append(r.scan(), &r.pinned, &r.sized, &r.sizedStamp) }

// insert makes a statement of insertPin or insertByStatus. What is empty and never changes is
// left out; what may change is written also if empty, over what another write has left.
func (r *row) insert(text string, status Status, stamp int64) scylla.Statement {
	return scylla.Bind(text, r.Tenant, string(status), r.slice, r.created, r.rnd, r.CID, orUnset(r.Name), r.Owner,
		listOrUnset(r.Origins), mapOrUnset(r.Meta), r.ReplMin, r.ReplMax, orUnset(r.Region),
		notNil(r.Info), listNotNil(r.Delegates), r.Size, stamp)
}

func orUnset(text string) any {
	if text == "" {
		return gocql.UnsetValue
	}
	return text
}

func listOrUnset(list []string) any {
	if len(list) == 0 {
		return gocql.UnsetValue
	}
	return list
}

func mapOrUnset(m map[string]string) any {
	if len(m) == 0 {
		return gocql.UnsetValue
	}
	return m
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func listNotNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func numberOrUnset(n int64) any {
	if n == 0 {
		return gocql.UnsetValue
	}
	return n
}
