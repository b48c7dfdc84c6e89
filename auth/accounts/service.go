package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
)

const (
	// Ahead is how far ahead of now the moment is before which the tokens of a principal are
	// revoked: the clock of an issuer, or of another instance, may be.
	Ahead = time.Minute
	// defaultTokenLife is far more than issuers give.
	defaultTokenLife = 31 * 24 * time.Hour
)

// Config is what a Service needs.
type Config struct {
	Store *Store
	// Env is the environment that keys are made for.
	Env string
	// Peppers are for the digests of keys.
	Peppers apikey.Peppers
	// TokenLife is for how long tokens are good that issuers give, at most: the greatest
	// jwt.Issuer.MaxLifetime. Zero means 31 days.
	TokenLife time.Duration
	// Forget is told what was changed, so that this instance has it at once.
	Forget Forget
}

// Forget are the functions of that name of what remembers. Each may be nil.
type Forget struct {
	Tenant     func(id string)         // Tenants
	Key        func(id string)         // apikey.Verifier
	Credential func(credential string) // authn.Owners
	Revocation func(key string)        // denylist.Denylist
}

// Service is what administrators do. It does not ask who they are: its callers do. Each
// method returns when what it did is seen by all who ask the database. Safe for concurrent
// use.
type Service struct {
	config Config
	store  *Store
}

// NewService returns a service.
func NewService(config Config) (*Service, error) {
	if config.TokenLife == 0 {
		config.TokenLife = defaultTokenLife
	}
	if config.TokenLife < 0 || config.Store == nil {
		return nil, errors.New("accounts: there is no store, or tokens have a negative life")
	}
	for _, forget := range []*func(string){&config.Forget.Tenant, &config.Forget.Key, &config.Forget.Credential, &config.Forget.Revocation} {
		if *forget == nil {
			*forget = func(string) {}
		}
	}
	return &Service{config: config, store: config.Store}, nil
}

// CreateTenant makes a tenant. Of the argument, Created and Rev do not count. It returns
// ErrExists if the id is taken.
func (s *Service) CreateTenant(ctx context.Context, t Tenant) (Tenant, error) {
	if err := t.check(); err != nil {
		return Tenant{}, err
	}
	defer s.config.Forget.Tenant(t.ID)
	return s.store.insertTenant(ctx, t)
}

// Tenant returns a tenant as it is now, or ErrNotFound.
func (s *Service) Tenant(ctx context.Context, id string) (Tenant, error) {
	t, found, err := s.store.Tenant(ctx, id)
	if err == nil && !found {
		err = wrap(ErrNotFound, "tenant %q", id)
	}
	return t, err
}

// UpdateTenant changes all of a tenant but its id and when it was made, if it still has the
// revision t.Rev: otherwise it returns ErrChanged.
func (s *Service) UpdateTenant(ctx context.Context, t Tenant) (Tenant, error) {
	if err := t.check(); err != nil {
		return Tenant{}, err
	}
	defer s.config.Forget.Tenant(t.ID)
	return s.store.updateTenant(ctx, t)
}

// ListTenants returns a page of the tenants. after is Page.Next of the page before, limit 0
// means MaxPage.
func (s *Service) ListTenants(ctx context.Context, after string, limit int) (Page[Tenant], error) {
	return page(ctx, s.store, listOfTenants, after, limit, s.store.tenants)
}

// AddCredential says to whom a credential belongs. One that the principal has gets the roles,
// groups and scopes of c instead of its own. It returns ErrExists if it belongs to another
// principal. Of c, Added does not count.
func (s *Service) AddCredential(ctx context.Context, c Credential) (Credential, error) {
	if err := c.check(); err != nil {
		return Credential{}, err
	}
	if _, err := s.Tenant(ctx, c.Tenant); err != nil {
		return Credential{}, err
	}
	owner := c.owner()
	c.Roles, c.Groups, c.Scopes = owner.Roles, owner.Groups, owner.Scopes
	defer s.config.Forget.Credential(c.Credential)
	by := c.AddedBy
	c, err := s.store.addCredential(ctx, c)
	if err != nil {
		return Credential{}, err
	}
	if err := s.standing(ctx, c.Tenant, by); err != nil {
		return Credential{}, s.undo(ctx, err, func(ctx context.Context) error {
			return s.store.removeCredential(ctx, c.Tenant, c.Credential)
		})
	}
	return c, nil
}

// Credential returns a credential of a tenant as it is now, or ErrNotFound.
func (s *Service) Credential(ctx context.Context, tenant, credential string) (Credential, error) {
	if credential == "" {
		return Credential{}, wrap(ErrNotFound, "credential %q", credential) // the database takes no empty key
	}
	c, _, found, err := s.store.credential(ctx, credential)
	if err == nil && (!found || c.Tenant != tenant) {
		err = wrap(ErrNotFound, "credential %q", credential)
	}
	if err != nil {
		return Credential{}, err
	}
	return c, nil
}

// RemoveCredential takes a credential from the principal of a tenant, or returns ErrNotFound.
// A session that began with it goes on until it ends, at most session.MaxLifetime later,
// unless the principal is revoked.
func (s *Service) RemoveCredential(ctx context.Context, tenant, credential string) error {
	defer s.config.Forget.Credential(credential)
	return s.store.removeCredential(ctx, tenant, credential)
}

// ListCredentials returns a page of the credentials of a principal.
func (s *Service) ListCredentials(ctx context.Context, tenant, principal, after string, limit int) (Page[Credential], error) {
	return page(ctx, s.store, listOfCredentials(tenant, principal), after, limit, s.store.credentials)
}

// Revoke revokes a token or a session that ends at a moment; its key is of package denylist.
func (s *Service) Revoke(ctx context.Context, key string, ends time.Time, by string) error {
	defer s.config.Forget.Revocation(key)
	return s.store.revoke(ctx, key, time.Now(), ends, by)
}

// RevokePrincipal revokes the tokens and sessions of a principal of a tenant that were issued
// before now and Ahead, those of the credentials that it has, and its keys, of which it
// returns how many. Nothing that the principal asks for on another instance meanwhile stays.
// Its DIDs and wallets are good for new logins: RemoveCredential takes them away.
func (s *Service) RevokePrincipal(ctx context.Context, tenant, id, by string) (int, error) {
	if id == "" || tenant == "" {
		return 0, invalid("principal", "it has no id or no tenant")
	}
	before := time.Now().Add(Ahead)
	if err := s.revokeTokens(ctx, tenant, id, before, by); err != nil {
		return 0, err
	}
	// The tokens of an issuer are looked up by the name that the issuer has for the principal.
	for after, more := "", true; more; more = after != "" {
		all, err := s.ListCredentials(ctx, tenant, id, after, 0)
		if err != nil {
			return 0, err
		}
		for _, c := range all.All {
			if err := s.revokeTokens(ctx, tenant, c.Credential, before, by); err != nil {
				return 0, err
			}
		}
		after = all.Next
	}
	revoked := 0
	for after, more := "", true; more; more = after != "" {
		all, err := s.ListKeys(ctx, tenant, after, 0)
		if err != nil {
			return revoked, err
		}
		for _, k := range all.All {
			if k.Owner != id || !k.Revoked.IsZero() {
				continue
			}
			if err := s.RevokeKey(ctx, tenant, k.ID); err != nil {
				return revoked, err
			}
			revoked++
		}
		after = all.Next
	}
	return revoked, nil
}

// revokeTokens revokes the tokens that name a principal so and were issued before a moment.
func (s *Service) revokeTokens(ctx context.Context, tenant, name string, before time.Time, by string) error {
	key := denylist.PrincipalKey(tenant, name)
	defer s.config.Forget.Revocation(key)
	return s.store.revoke(ctx, key, before, before.Add(s.config.TokenLife), by)
}

// systemTenant is the one whose principals do things in others: authz.SystemTenant.
const systemTenant = "system"

// standing returns ErrRevoked if all was taken within Ahead from the principal who makes
// something in a tenant: of that tenant, or of systemTenant. It is asked after what lasts was
// made: then either this sees the revocation, or RevokePrincipal sees what was made.
func (s *Service) standing(ctx context.Context, tenant, by string) error {
	for _, of := range []string{tenant, systemTenant} {
		before, ok, err := s.store.Revoked(ctx, denylist.PrincipalKey(of, by))
		if err == nil && ok && time.Now().Before(before) {
			err = ErrRevoked
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undoTime is how long what was made is taken back, also if nobody waits any more.
const undoTime = 10 * time.Second

// undo takes back what must not stay because of err, and returns err.
func (s *Service) undo(ctx context.Context, err error, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return errors.Join(err, f(ctx))
}
