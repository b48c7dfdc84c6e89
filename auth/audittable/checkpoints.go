package audittable

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// checkpointBlock is how many records of a chain have their checkpoints in one partition:
	// half as many rows at most.
	checkpointBlock = 1 << 16
	checkpointPage  = 1000
)

// Checkpoints keeps copies of the checkpoints of chains that are in files.
type Checkpoints struct {
	db  *scylla.DB
	ttl int
}

var _ audit.CheckpointCopy = (*Checkpoints)(nil)

// NewCheckpoints returns copies that are kept for some time, zero for ever: as long as the
// files are.
func NewCheckpoints(db *scylla.DB, retention time.Duration) (*Checkpoints, error) {
	if err := checkRetention(retention); err != nil {
		return nil, err
	}
	return &Checkpoints{db: db, ttl: int(retention / time.Second)}, nil
}

// PutCheckpoint implements audit.CheckpointCopy. Two of one number that are of different
// records are both kept.
func (c *Checkpoints) PutCheckpoint(ctx context.Context, p audit.Checkpoint) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return c.db.Write(ctx, scylla.Bind(insertCheckpoint, p.Writer, p.Seq/checkpointBlock, p.Seq, p.Hash, string(text), c.ttl))
}

// ReadCheckpoints returns all that there are. One that cannot be read as JSON is returned as
// one without a signature, which audit.Verify complains of.
func ReadCheckpoints(ctx context.Context, db *scylla.DB) ([]audit.Checkpoint, error) {
	var all []audit.Checkpoint
	rows := db.Scan(ctx, gocql.Quorum, checkpointPage, scylla.Bind(selectCheckpoints))
	for text := ""; rows.Next(&text); {
		var c audit.Checkpoint
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			c = audit.Checkpoint{Writer: "audit_checkpoints"}
		}
		all = append(all, c)
	}
	if err := rows.Close(); err != nil {
		db.NotServed(err)
		return nil, fmt.Errorf("reading the copies of checkpoints: %w", err)
	}
	return all, nil
}
