package accounts

import (
	"context"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var _ denylist.Store = (*Store)(nil)

// Revoked implements denylist.Store.
func (s *Store) Revoked(ctx context.Context, key string) (time.Time, bool, error) {
	var before *time.Time
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectRevocation, key), new(string), &before)
	switch {
	case err != nil || !found:
		return time.Time{}, false, wrap(err, "reading the revocation of %s", key)
	case before == nil:
		return time.Time{}, false, stored(errIncomplete, "the revocation of %s", key)
	}
	return before.UTC(), true, nil
}

// revoke writes a revocation, which is needed until a moment. Of several of one key, that
// with the latest before counts, whichever was written last.
func (s *Store) revoke(ctx context.Context, key string, before, until time.Time, by string) error {
	err := s.write(ctx, scylla.Bind(insertRevocation, key, before, by, ttl(until), before.UnixMicro()))
	return wrap(err, "writing the revocation of %s", key)
}
