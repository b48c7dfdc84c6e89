package audittable

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// blockPage is how many partitions are listed at once.
	blockPage = 1000
	// rowPage is how many rows are read at once, of up to maxRowBytes and a record.
	rowPage = 50
)

// Parts returns what there is of the chains of all writers, for audit.VerifyParts and
// audit.SearchParts: one part is a partition, and is read when its Lines are. It looks through
// the whole table for them, and believes no other table.
func Parts(ctx context.Context, db *scylla.DB) ([]audit.Part, error) {
	type key struct {
		writer string
		block  int64
	}
	var all []key
	rows := db.Scan(ctx, gocql.Quorum, blockPage, scylla.Bind(selectBlocks))
	for k := (key{}); rows.Next(&k.writer, &k.block); {
		all = append(all, k)
	}
	if err := rows.Close(); err != nil {
		db.NotServed(err)
		return nil, fmt.Errorf("listing the audit records: %w", err)
	}
	slices.SortFunc(all, func(a, b key) int {
		return cmp.Or(strings.Compare(a.writer, b.writer), cmp.Compare(a.block, b.block))
	})
	parts := make([]audit.Part, len(all))
	for i, k := range all {
		parts[i] = audit.Part{
			Writer: k.writer,
			Name:   fmt.Sprintf("audit_records %.100q block %d", k.writer, k.block),
			Lines: func(line func(text []byte, number int) error) error {
				return readBlock(ctx, db, k.writer, k.block, line)
			},
		}
	}
	return parts, nil
}

// readBlock calls line with the lines of a partition and the number that their place says.
func readBlock(ctx context.Context, db *scylla.DB, writer string, block int64, line func(text []byte, number int) error) error {
	rows := db.Rows(ctx, gocql.Quorum, rowPage, scylla.Bind(selectRows, writer, block))
	var seq int64
	var lines string
	var err error
	for err == nil && rows.Next(&seq, &lines) {
		// A row without an end is not one that was written: that its last line is empty then, or
		// lacks its end, is what makes it no record.
		text, whole := strings.CutSuffix(lines, "\n")
		if !whole {
			text += "\n"
		}
		for i, one := range strings.Split(text, "\n") {
			if err = line([]byte(one), int(seq)+i); err != nil {
				break
			}
		}
		seq, lines = 0, ""
	}
	closed := rows.Close()
	if err != nil {
		return err
	}
	if closed != nil {
		return fmt.Errorf("reading the audit records of %s, block %d: %w", writer, block, closed)
	}
	return nil
}
