package pins

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// claimant is a request that wants a CID held.
type claimant struct {
	tenant string
	key    key
}

// claims are all there are on one CID.
type claims struct {
	of []claimant
	// replMin, replMax and origins are what they ask for together. Both factors are 0 if nobody
	// asks for any and the default is not known.
	replMin, replMax int
	origins          []string
	// status is what all of them have been told, at least. Empty if that is not known.
	status Status
}

func (c *claims) any() bool { return len(c.of) > 0 }

// claims reads the claims on a CID. Of the replication asked for the largest counts, where 0
// counts as conf says.
func (s *Service) claims(ctx context.Context, cid string, conf *WorkerConfig) (claims, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, claimsPage, scylla.Bind(selectClaims, cid))
	var all claims
	for {
		var c claimant
		var rfMin, rfMax int
		var origins []string
		if !rows.Next(&c.tenant, &c.key.created, &c.key.rnd, &c.key.slice, &rfMin, &rfMax, &origins, &all.status) {
			break
		}
		if c.tenant == "" {
			continue
		}
		all.of = append(all.of, c)
		all.replMin = larger(all.replMin, cmp.Or(rfMin, conf.DefaultMin))
		all.replMax = larger(all.replMax, cmp.Or(rfMax, conf.DefaultMax))
		for _, o := range origins {
			if len(all.origins) < MaxOrigins && !slices.Contains(all.origins, o) {
				all.origins = append(all.origins, o)
			}
		}
	}
	if err := rows.Close(); err != nil {
		return claims{}, fmt.Errorf("reading the claims on a CID: %w", err)
	}
	return all, nil
}

// larger returns the larger of two replication factors: -1 is the largest, and 0 the smallest.
func larger(a, b int) int {
	if more(b, a) {
		return b
	}
	return a
}

// more reports whether a replication factor is larger than another one.
func more(a, b int) bool {
	return a != b && b != -1 && (a == -1 || a > b)
}

// hasClaim reports whether the request claims the CID.
func (s *Service) hasClaim(ctx context.Context, cid string, c claimant) (bool, error) {
	var slice int64
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectClaim, cid, c.tenant, c.key.created, c.key.rnd), &slice)
	if err != nil {
		return false, fmt.Errorf("reading a claim: %w", err)
	}
	return found, nil
}

// sizeOf is the size that one of the other requests for a CID has, 0 if it has none.
func (s *Service) sizeOf(ctx context.Context, c *claims, named []claimant) (int64, error) {
	for _, other := range c.of {
		if !slices.Contains(named, other) {
			r, _, err := s.read(ctx, other.tenant, other.key)
			return r.Size, err
		}
	}
	return 0, nil
}

// mend ends what was begun with a request and left: a claim without a request goes, and so
// does what may yet be written of the request, if it was being made; a request without a
// claim gets one. It must not be called for what may still be under way, see actMost. It
// returns whether there is a request.
func (s *Service) mend(ctx context.Context, cid string, c claimant, made bool) (found bool, err error) {
	claimed, err := s.hasClaim(ctx, cid, c)
	if err != nil {
		return false, err
	}
	r, found, err := s.read(ctx, c.tenant, c.key)
	if err != nil {
		return false, err
	}
	switch {
	case found && !claimed:
		// If the request was removed meanwhile, its claim was too: this one is older.
		if err := s.db.Write(ctx, r.claim()); err != nil {
			return false, fmt.Errorf("making a claim: %w", err)
		}
	case !found && (claimed || made):
		// Also without a claim: a write that nobody knows the outcome of may yet come.
		if err := s.delete(ctx, c.tenant, c.key); err != nil {
			return false, err
		}
		err = s.unclaim(ctx, c.tenant, cid, c.key)
	}
	return found, err
}

// forgetTold forgets what claimants were told, when there are none.
func (s *Service) forgetTold(ctx context.Context, cid string, begun time.Time) error {
	if err := s.db.Write(ctx, scylla.Bind(deleteClaimed, stampOf(begun, Failed), cid)); err != nil {
		return fmt.Errorf("forgetting what claimants were told: %w", err)
	}
	return nil
}

// toldAll notes what all claimants have been told.
func (s *Service) toldAll(ctx context.Context, cid string, status Status, begun time.Time) error {
	if err := s.db.Write(ctx, scylla.Bind(updateClaimed, stampOf(begun, status), string(status), cid)); err != nil {
		return fmt.Errorf("noting what claimants were told: %w", err)
	}
	return nil
}
