package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Credential is to whom a credential belongs that does not say so itself: a DID, or the
// subject of an issuer as jwt.Verifier names it.
type Credential struct {
	Credential        string
	Principal, Tenant string
	// Roles, Groups and Scopes are what the principal has when it comes with a DID. A token
	// of an issuer has its own.
	Roles, Groups, Scopes []string
	Added                 time.Time
	AddedBy               string
}

func (c Credential) check() error {
	if c.AddedBy == "" {
		return invalid("added_by", "it is empty")
	}
	if err := c.owner().Check(); err != nil {
		return invalid("credential", "%v", err)
	}
	return nil
}

// owner is the principal, in all that a directory tells.
func (c Credential) owner() principal.Principal {
	return principal.Principal{
		ID: c.Principal, Tenant: c.Tenant, Roles: principal.Set(c.Roles), Groups: principal.Set(c.Groups), Scopes: principal.Set(c.Scopes),
		Method: principal.MethodDID, Credential: c.Credential,
	}
}

// Owner implements authn.Directory.
func (s *Store) Owner(ctx context.Context, credential string) (principal.Principal, bool, error) {
	c, _, found, err := s.credential(ctx, credential)
	if err != nil || !found {
		return principal.Principal{}, false, err
	}
	return c.owner(), true, nil
}

func (s *Store) credential(ctx context.Context, credential string) (Credential, credentialRow, bool, error) {
	var row credentialRow
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectCredential, credential), row.columns()...)
	if err != nil || !found {
		return Credential{}, row, false, wrap(err, "reading the credential %q", credential)
	}
	c, err := row.decode()
	return c, row, err == nil, stored(err, "the credential %q", credential)
}

func (s *Store) credentials(ctx context.Context, ids []string) (map[gocql.UUID]Credential, error) {
	out := make(map[gocql.UUID]Credential)
	rows := s.db.Rows(ctx, gocql.Quorum, MaxPage, scylla.Bind(selectCredentials, ids))
	defer rows.Close()
	for row := new(credentialRow); rows.Next(row.columns()...); row = new(credentialRow) {
		c, err := row.decode()
		if err != nil {
			return nil, stored(err, "the credential %q", row.credential)
		}
		out[*row.made] = c
	}
	return out, wrap(rows.Close(), "reading credentials")
}

// addCredential gives a credential to a principal, or the one it has there other roles,
// groups and scopes. It returns ErrExists if it belongs to another principal.
func (s *Store) addCredential(ctx context.Context, c Credential) (Credential, error) {
	for range changeTries {
		old, row, found, err := s.credential(ctx, c.Credential)
		var done bool
		switch {
		case err != nil:
			return Credential{}, err
		case found && (old.Tenant != c.Tenant || old.Principal != c.Principal):
			return Credential{}, fmt.Errorf("credential %q: %w", c.Credential, ErrExists)
		case found:
			c.Added, c.AddedBy = old.Added, old.AddedBy
			done, err = s.updateCredential(ctx, c, *row.rev)
		default:
			done, err = s.insertCredential(ctx, &c)
		}
		if err != nil || done {
			return c, wrap(err, "adding the credential %q", c.Credential)
		}
	}
	return Credential{}, fmt.Errorf("credential %q: %w", c.Credential, ErrChanged)
}

func (s *Store) insertCredential(ctx context.Context, c *Credential) (bool, error) {
	rev, err := mark()
	if err != nil {
		return false, err
	}
	e := entry{listOfCredentials(c.Tenant, c.Principal), gocql.TimeUUID(), c.Credential}
	if err := s.enter(ctx, e); err != nil {
		return false, err
	}
	c.Added = e.made.Time()
	made, _, err := s.settle(ctx, "rev", rev, scylla.Bind(insertCredential,
		c.Credential, e.made, c.Principal, c.Tenant, texts(c.Roles), texts(c.Groups), texts(c.Scopes), c.AddedBy, rev))
	return made, err
}

func (s *Store) updateCredential(ctx context.Context, c Credential, rev gocql.UUID) (bool, error) {
	next, err := mark()
	if err != nil {
		return false, err
	}
	changed, _, err := s.settle(ctx, "rev", next, scylla.Bind(updateCredential, texts(c.Roles), texts(c.Groups), texts(c.Scopes), next, c.Credential, rev))
	return changed, err
}

// removeCredential takes a credential from a principal of a tenant.
func (s *Store) removeCredential(ctx context.Context, tenant, credential string) error {
	for range changeTries {
		c, row, found, err := s.credential(ctx, credential)
		switch {
		case err != nil:
			return err
		case !found || c.Tenant != tenant:
			return fmt.Errorf("credential %q: %w", credential, ErrNotFound)
		}
		// A row that is gone has no revision: this has removed it, or somebody else.
		removed, _, err := s.settle(ctx, "rev", gocql.UUID{}, scylla.Bind(deleteCredential, credential, *row.rev))
		if err != nil {
			return fmt.Errorf("removing the credential %q: %w", credential, err)
		}
		if removed {
			return s.leave(ctx, entry{listOfCredentials(c.Tenant, c.Principal), *row.made, credential})
		}
	}
	return fmt.Errorf("credential %q: %w", credential, ErrChanged)
}

// credentialRow has pointers for what may be null in a row that is not complete.
type credentialRow struct {
	credential                 string
	made                       *gocql.UUID
	principal, tenant, addedBy string
	roles, groups, scopes      []string
	rev                        *gocql.UUID
}

func (r *credentialRow) columns() []any {
	return []any{&r.credential, &r.made, &r.principal, &r.tenant, &r.roles, &r.groups, &r.scopes, &r.addedBy, &r.rev}
}

func (r *credentialRow) decode() (Credential, error) {
	if r.made == nil || r.rev == nil {
		return Credential{}, errIncomplete
	}
	if err := complete(r.roles, r.groups, r.scopes); err != nil {
		return Credential{}, err
	}
	c := Credential{
		Credential: r.credential, Principal: r.principal, Tenant: r.tenant, Roles: r.roles, Groups: r.groups, Scopes: r.scopes,
		Added: r.made.Time(), AddedBy: r.addedBy,
	}
	return c, c.check()
}
