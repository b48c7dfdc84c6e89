package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// fence gives the row a new revision and the same content, so that a writer
// that was stopped before its conditional update fails it and starts again. It
// returns the row as it is afterwards, which may be that of yet another writer.
// A row that is absent, or a marker, becomes a marker.
func (s *Store) fence(ctx context.Context, c api.Cid, old row) (row, error) {
	w := &write{cid: c, old: old, rev: nextRev(time.Now(), old.rev)}
	if old.pin != nil {
		next, err := newContent(c, old.pin)
		if err != nil {
			return row{}, err
		}
		w.next = next
	}
	applied, now, err := s.swap(ctx, w)
	if err != nil {
		return row{}, fmt.Errorf("fencing the writer of %s: %w", c, err)
	}
	if applied {
		now = row{rev: w.rev, prev: old.rev, pin: old.pin}
		logger.Infof("fenced a writer of %s that has not finished", c)
	}
	return now, nil
}
