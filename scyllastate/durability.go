package scyllastate

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// tellDurability logs whether a crash of the database can lose what is acknowledged
// here, as far as this peer can see.
func (s *Store) tellDurability(ctx context.Context) {
	d, err := s.db.Durability(ctx)
	if ctx.Err() != nil {
		return // the store is closed
	}
	if err != nil {
		state.Failure(err, logger.Warnf, logger.Debugf)("whether one crash of the database can lose acknowledged pins is not known: %s", err)
		return
	}
	lost := "acknowledged pins and unpins"
	if d.Logged && s.db.Dialect.SyncsConditional() {
		// The rows of pins are written by conditional updates, the others are not,
		// nor are those of a bulk migration.
		lost = "what peers are to do about acknowledged pins and unpins, until the scrub finds it, and pins that migrate has just brought in"
	}
	losses, unknown := d.Losses(), d.Unknown()
	for _, how := range losses {
		logger.Warnf("one crash of the database can lose %s: %s; docs/database.md says more", lost, how)
	}
	if unknown != "" {
		// Last, as it may end with a statement.
		logger.Warnf("whether one crash of the database can lose %s is not known (docs/database.md): %s", lost, unknown)
	}
	if len(losses) == 0 && unknown == "" {
		logger.Infof("%s; docs/database.md says more", d.Holds())
	}
}
