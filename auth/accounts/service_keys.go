package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
)

// CreateKey makes a key of a tenant that is not disabled. The token has its secret, which is
// nowhere else: who loses it makes another key.
func (s *Service) CreateKey(ctx context.Context, grant apikey.Grant) (apikey.Key, apikey.Token, error) {
	t, err := s.Tenant(ctx, grant.Tenant)
	switch {
	case err != nil:
		return apikey.Key{}, apikey.Token{}, err
	case t.Disabled:
		return apikey.Key{}, apikey.Token{}, invalid("tenant", "it is disabled")
	}
	grant.Expires = stamp(grant.Expires)
	key, token, err := apikey.New(s.config.Env, grant, s.config.Peppers, time.Now())
	if err != nil {
		return apikey.Key{}, apikey.Token{}, invalid("key", "%v", err)
	}
	if key, err = s.keepKey(ctx, key); err != nil {
		return apikey.Key{}, apikey.Token{}, err
	}
	return key, token, nil
}

// ListKeys returns a page of the keys of a tenant, also of those that have ended.
func (s *Service) ListKeys(ctx context.Context, tenant, after string, limit int) (Page[ListedKey], error) {
	return page(ctx, s.store, listOfKeys(tenant), after, limit, s.store.keys)
}

// Key returns a key of a tenant as it is now, also one that has ended, or ErrNotFound.
func (s *Service) Key(ctx context.Context, tenant, id string) (apikey.Key, error) {
	if id == "" {
		return apikey.Key{}, wrap(ErrNotFound, "key %q", id) // the database takes no empty key
	}
	found, ok, err := s.store.key(ctx, id)
	if err == nil && (!ok || found.key.Tenant != tenant) {
		err = wrap(ErrNotFound, "key %q", id)
	}
	if err != nil {
		return apikey.Key{}, err
	}
	return found.key, nil
}

// RevokeKey revokes a key of a tenant, or returns ErrNotFound. One that was revoked stays so
// from when it was.
func (s *Service) RevokeKey(ctx context.Context, tenant, id string) error {
	defer s.config.Forget.Key(id)
	return s.store.revokeKey(ctx, tenant, id, stamp(time.Now()))
}

// RotateKey makes a key that takes the place of one of a tenant, which ends after the
// overlap. Both are listed. by is the id of the principal who does that. It returns
// ErrNotFound, or ErrChanged if somebody else has changed the key meanwhile: the new one is
// revoked then, so that a key which was revoked has no successor.
func (s *Service) RotateKey(ctx context.Context, tenant, id string, overlap time.Duration, by string) (apikey.Key, apikey.Token, error) {
	old, found, err := s.store.key(ctx, id)
	switch {
	case err != nil:
		return apikey.Key{}, apikey.Token{}, err
	case !found || old.key.Tenant != tenant:
		return apikey.Key{}, apikey.Token{}, fmt.Errorf("key %q: %w", id, ErrNotFound)
	case by == "":
		return apikey.Key{}, apikey.Token{}, invalid("key", "nobody rotates it")
	}
	next, token, before, err := apikey.Rotate(old.key, overlap, s.config.Peppers, time.Now())
	if err != nil {
		return apikey.Key{}, apikey.Token{}, invalid("key", "%v", err)
	}
	next.CreatedBy, next.Expires, before.Expires = by, stamp(next.Expires), stamp(before.Expires)
	if next, err = s.keepKey(ctx, next); err != nil {
		return apikey.Key{}, apikey.Token{}, err
	}
	defer s.config.Forget.Key(id)
	changed, err := s.store.changeKey(ctx, before, old.rev)
	if err == nil && !changed {
		err = fmt.Errorf("key %s: %w", id, ErrChanged)
	}
	if err != nil {
		return apikey.Key{}, apikey.Token{}, s.undoKey(ctx, err, next)
	}
	return next, token, nil
}

// keepKey stores a key that was just made, unless all was taken from whoever made it.
func (s *Service) keepKey(ctx context.Context, key apikey.Key) (apikey.Key, error) {
	key, err := s.store.insertKey(ctx, key)
	if err != nil {
		return apikey.Key{}, err
	}
	if err := s.standing(ctx, key.Tenant, key.CreatedBy); err != nil {
		return apikey.Key{}, s.undoKey(ctx, err, key)
	}
	return key, nil
}

// undoKey revokes a key that nobody is to have, because of err.
func (s *Service) undoKey(ctx context.Context, err error, key apikey.Key) error {
	return s.undo(ctx, err, func(ctx context.Context) error {
		return s.store.revokeKey(ctx, key.Tenant, key.ID, stamp(time.Now()))
	})
}

// stamp is a time as the database keeps it, so that what is returned is what is stored.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}
