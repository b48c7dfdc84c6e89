package ledger

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// StoredAdjustment is an adjustment and why it was made.
type StoredAdjustment struct {
	usage.Adjustment
	Reason string
}

// PutAdjustment stores by how much a recompute differs, in the month in which it is charged. It
// may be done any number of times: it follows from two versions of a day, of which the later
// one says the month.
func (s *Store) PutAdjustment(ctx context.Context, owner string, period int, a StoredAdjustment) error {
	err := s.db.WriteAll(ctx, []scylla.Statement{scylla.Bind(insertAdjustment, owner, period, a.ID[:], a.Day, a.Version,
		whole(a.ByteMS), whole(a.PinMS), a.Old[:], a.New[:], a.Reason)})
	return wrap(err, "storing an adjustment of the day %d of %q", a.Day, owner)
}

// Adjustments returns what is charged of adjustments to an owner in a month, as 202612, sorted by
// ID.
func (s *Store) Adjustments(ctx context.Context, owner string, period int) ([]StoredAdjustment, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectAdjustments, owner, period))
	defer rows.Close()
	var out []StoredAdjustment
	for {
		var a StoredAdjustment
		var id, before, after []byte
		if !rows.Next(&id, &a.Day, &a.Version, &a.ByteMS, &a.PinMS, &before, &after, &a.Reason) {
			return out, wrap(rows.Close(), "reading the adjustments of %q in %d", owner, period)
		}
		if len(id) != len(a.ID) || len(before) != len(a.Old) || len(after) != len(a.New) || a.ByteMS == nil || a.PinMS == nil {
			return nil, fmt.Errorf("an adjustment of %q in %d as it is stored: the row is not complete", owner, period)
		}
		a.ID, a.Old, a.New = [32]byte(id), [32]byte(before), [32]byte(after)
		out = append(out, a)
	}
}
