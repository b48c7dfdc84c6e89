package accounts

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var _ apikey.Store = (*Store)(nil)

// Key implements apikey.Store.
func (s *Store) Key(ctx context.Context, id string) (apikey.Key, bool, error) {
	row, found, err := s.key(ctx, id)
	return row.key, found, err
}

// Used implements apikey.Store.
func (s *Store) Used(ctx context.Context, id string, at time.Time) error {
	return wrap(s.write(ctx, scylla.Bind(insertUse, id, at, at.UnixMicro())), "noting the use of the key %s", id)
}

// storedKey is a key and the revision of its row.
type storedKey struct {
	key apikey.Key
	rev gocql.UUID
}

func (s *Store) key(ctx context.Context, id string) (storedKey, bool, error) {
	var row keyRow
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectKey, id), row.columns()...)
	if err != nil || !found {
		return storedKey{}, false, wrap(err, "reading the key %s", id)
	}
	key, err := row.decode()
	if err != nil {
		return storedKey{}, false, stored(err, "the key %s", id)
	}
	return storedKey{key: key, rev: *row.rev}, true, nil
}

// ListedKey is a key, and when it was last used, to some minutes. Used is zero if it never
// was.
type ListedKey struct {
	apikey.Key
	Used time.Time
}

func (s *Store) keys(ctx context.Context, ids []string) (map[gocql.UUID]ListedKey, error) {
	used, err := s.uses(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[gocql.UUID]ListedKey)
	rows := s.db.Rows(ctx, gocql.Quorum, MaxPage, scylla.Bind(selectKeys, ids))
	defer rows.Close()
	for row := new(keyRow); rows.Next(row.columns()...); row = new(keyRow) {
		key, err := row.decode()
		if err != nil {
			return nil, stored(err, "the key %s", row.id)
		}
		out[*row.made] = ListedKey{Key: key, Used: used[key.ID]}
	}
	return out, wrap(rows.Close(), "reading keys")
}

func (s *Store) uses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	out := make(map[string]time.Time)
	rows := s.db.Rows(ctx, gocql.Quorum, MaxPage, scylla.Bind(selectUses, ids))
	var id string
	for used := new(time.Time); rows.Next(&id, used); {
		out[id] = used.UTC()
	}
	return out, wrap(rows.Close(), "reading when keys were used")
}

// insertKey stores a key that was just made, and returns it as it is stored.
func (s *Store) insertKey(ctx context.Context, k apikey.Key) (apikey.Key, error) {
	rev, err := mark()
	if err != nil {
		return apikey.Key{}, err
	}
	e := entry{listOfKeys(k.Tenant), gocql.UUIDFromTime(k.Created), k.ID}
	k.Created = e.made.Time()
	if err := s.enter(ctx, e); err != nil {
		return apikey.Key{}, err
	}
	networks := make([]string, len(k.Networks))
	for i, network := range k.Networks {
		networks[i] = network.String()
	}
	made, _, err := s.settle(ctx, "rev", rev, scylla.Bind(insertKey,
		k.ID, e.made, k.Env, k.Tenant, k.Owner, texts(k.Roles), texts(k.Groups), texts(k.Scopes), networks,
		moment(k.Expires), k.CreatedBy, k.Digest[:], k.Pepper, moment(k.Revoked), k.RotatedFrom, rev))
	if err == nil && !made {
		err = ErrExists // of 71 random bits
	}
	return k, wrap(err, "storing the key %s", k.ID)
}

// changeKey changes when a key ends, from what it was at a revision. It returns false if the
// row has another one.
func (s *Store) changeKey(ctx context.Context, k apikey.Key, rev gocql.UUID) (bool, error) {
	next, err := mark()
	if err != nil {
		return false, err
	}
	changed, _, err := s.settle(ctx, "rev", next, scylla.Bind(updateKey, moment(k.Expires), moment(k.Revoked), next, k.ID, rev))
	return changed, wrap(err, "changing the key %s", k.ID)
}

// revokeKey revokes a key of a tenant. One that was revoked stays so from when it was.
func (s *Store) revokeKey(ctx context.Context, tenant, id string, at time.Time) error {
	for range changeTries {
		stored, found, err := s.key(ctx, id)
		switch {
		case err != nil:
			return err
		case !found || stored.key.Tenant != tenant:
			return fmt.Errorf("key %q: %w", id, ErrNotFound)
		case !stored.key.Revoked.IsZero():
			return nil
		}
		stored.key.Revoked = at
		if changed, err := s.changeKey(ctx, stored.key, stored.rev); err != nil || changed {
			return err
		}
	}
	return fmt.Errorf("key %s: %w", id, ErrChanged)
}

// keyRow has pointers for what may be null in a row that is not complete.
type keyRow struct {
	id                                         string
	made                                       *gocql.UUID
	env, tenant, owner, createdBy, rotatedFrom string
	roles, groups, scopes, networks            []string
	expires, revoked                           *time.Time
	digest                                     []byte
	pepper                                     *int
	rev                                        *gocql.UUID
}

func (r *keyRow) columns() []any {
	return []any{
		&r.id, &r.made, &r.env, &r.tenant, &r.owner, &r.roles, &r.groups, &r.scopes, &r.networks,
		&r.expires, &r.createdBy, &r.digest, &r.pepper, &r.revoked, &r.rotatedFrom, &r.rev,
	}
}

// decode returns the key. What is missing must not make it good for more: a list that is
// null is not an empty one, which could mean "anything".
func (r *keyRow) decode() (apikey.Key, error) {
	if r.made == nil || r.pepper == nil || r.rev == nil || r.env == "" || r.tenant == "" || r.owner == "" || r.createdBy == "" {
		return apikey.Key{}, errIncomplete
	}
	if err := complete(r.roles, r.groups, r.scopes, r.networks); err != nil {
		return apikey.Key{}, err
	}
	if len(r.scopes) == 0 {
		return apikey.Key{}, errIncomplete
	}
	if len(r.digest) != apikey.DigestSize {
		return apikey.Key{}, fmt.Errorf("the digest has %d bytes", len(r.digest))
	}
	k := apikey.Key{
		ID: r.id, Env: r.env, Pepper: *r.pepper, Created: r.made.Time(), Revoked: timeOf(r.revoked), RotatedFrom: r.rotatedFrom,
		Digest: [apikey.DigestSize]byte(r.digest),
		Grant: apikey.Grant{
			Owner: r.owner, Tenant: r.tenant, Roles: r.roles, Groups: r.groups, Scopes: r.scopes,
			Expires: timeOf(r.expires), CreatedBy: r.createdBy,
		},
	}
	for _, text := range r.networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return apikey.Key{}, err
		}
		k.Networks = append(k.Networks, network)
	}
	return k, nil
}
