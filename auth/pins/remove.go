package pins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Remove removes a request. When it returns nil, no instance finds it any more. Errors:
// ErrNotFound.
func (s *Service) Remove(ctx context.Context, tenant, id string) error {
	r, err := s.get(ctx, tenant, id)
	if err != nil {
		return err
	}
	quota, err := s.limits(ctx, tenant)
	if err != nil {
		return fmt.Errorf("asking for the quota: %w", err)
	}
	return s.removeCounted(ctx, &r, quota)
}

// removeCounted removes a request and frees its place, for a tenant that has a quota.
func (s *Service) removeCounted(ctx context.Context, r *row, quota Quota) error {
	if quota == (Quota{}) {
		return s.remove(ctx, r)
	}
	was, err := s.usage.before(ctx, r.Tenant, quota)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, r); err != nil {
		return err
	}
	s.usage.free(ctx, r, was)
	return nil
}

// remove removes a request and its claim.
func (s *Service) remove(ctx context.Context, r *row) error {
	begun := time.Now()
	item := todoItem{cid: r.CID, tenant: r.Tenant, key: r.key}
	var end []scylla.Statement
	if s.told != nil {
		item.removed = max(s.now().UnixMilli(), r.created)
		end = append(end, r.end(item.removed))
	}
	if err := s.announce(ctx, item, todoAfter); err != nil {
		return fmt.Errorf("removing a request: %w", err)
	}
	if err := s.at("remove: announced"); err != nil {
		return err
	}
	if time.Since(begun) > actMost {
		return fmt.Errorf("removing a request: %w", errLate)
	}
	if err := s.delete(ctx, r.Tenant, r.key, end...); err != nil {
		return err
	}
	if err := s.at("remove: deleted"); err != nil {
		return err
	}
	if err := s.unclaim(ctx, r.Tenant, r.CID, r.key); err != nil {
		return err
	}
	if err := s.at("remove: unclaimed"); err != nil {
		return err
	}
	if time.Since(begun) > actMost { // the look may have gone before it
		if err := s.announce(ctx, item, todoAfter); err != nil {
			return fmt.Errorf("removing a request: %w", err)
		}
	}
	s.queue.push(work{cid: r.CID, tenant: r.Tenant, key: r.key, since: begun})
	return nil
}

// delete removes all rows of a request. What was written, or is yet to be, of observations
// up to deleteAhead from now is not seen any more. With them goes what else is given.
func (s *Service) delete(ctx context.Context, tenant string, k key, with ...scylla.Statement) error {
	stamp := s.now().Add(deleteAhead).UnixMicro()
	all := []scylla.Statement{scylla.Bind(deletePin, stamp, tenant, k.slice, k.created, k.rnd)}
	for _, status := range statuses() {
		all = append(all, scylla.Bind(deleteByStatus, stamp, tenant, string(status), k.slice, k.created, k.rnd))
	}
	if err := s.db.WriteLogged(ctx, append(all, with...)); err != nil {
		return fmt.Errorf("deleting a request: %w", err)
	}
	return nil
}

func (s *Service) unclaim(ctx context.Context, tenant, cid string, k key) error {
	stamp := s.now().Add(deleteAhead).UnixMicro()
	if err := s.db.Write(ctx, scylla.Bind(deleteClaim, stamp, cid, tenant, k.created, k.rnd)); err != nil {
		return fmt.Errorf("deleting a claim: %w", err)
	}
	return nil
}

// Replace makes a request and then removes the one with the id. The new one takes the place
// of the old one in the quota. n.Tenant must be tenant. Errors: those of Create and
// ErrNotFound.
func (s *Service) Replace(ctx context.Context, tenant, id string, n NewRequest) (Request, error) {
	if n.Tenant != tenant {
		return Request{}, invalid("tenant", "is not that of the request")
	}
	n, err := n.checked(s.maxRepl)
	if err != nil {
		return Request{}, err
	}
	old, err := s.get(ctx, tenant, id)
	if err != nil {
		return Request{}, err
	}
	quota, err := s.limits(ctx, tenant)
	if err != nil {
		return Request{}, fmt.Errorf("asking for the quota: %w", err)
	}
	// A tenant at its limit may replace: whoever frees the place of the old request, which
	// only one can, has it for the new one.
	err = s.usage.take(ctx, tenant, quota)
	full := (*QuotaError)(nil)
	inPlace := errors.As(err, &full) && full.What == "pins"
	if inPlace {
		freed, freeErr := s.usage.claimPlace(ctx, &old)
		if freeErr != nil {
			return Request{}, freeErr
		}
		if freed {
			err = nil
		}
	}
	if err != nil {
		return Request{}, err
	}
	made, err := s.create(ctx, n)
	if err != nil {
		return Request{}, err
	}
	if err := s.at("replace: created"); err != nil {
		return Request{}, err
	}
	if inPlace {
		quota = Quota{} // its place is taken
	}
	if err := s.removeCounted(ctx, &old, quota); err != nil {
		return Request{}, err
	}
	return made, nil
}
