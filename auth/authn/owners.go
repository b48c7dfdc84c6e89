package authn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// Directory knows to whom credentials belong that do not say so themselves: one principal,
// many credentials. Safe for concurrent use.
type Directory interface {
	// Owner returns the principal to whom a DID, or the subject of an issuer as
	// jwt.Verifier names it, belongs, and false if it belongs to nobody. Of the principal,
	// the id, the tenant, roles, groups and scopes count.
	Owner(ctx context.Context, credential string) (principal.Principal, bool, error)
}

// Owners asks a directory, and remembers for seconds what it says. A nil *Owners knows
// nobody.
type Owners struct {
	answers *recent.Answers[principal.Principal]
}

// NewOwners returns owners. The times are the promise about how soon a credential that was
// taken from a principal is refused.
func NewOwners(directory Directory, times recent.Config) (*Owners, error) {
	answers, err := recent.New(directory.Owner, times)
	if err != nil {
		return nil, fmt.Errorf("owners: %w", err)
	}
	return &Owners{answers: answers}, nil
}

// OfProof returns the principal to whom a credential belongs, whose possession was proved
// a moment ago. An error is a *principal.Refusal or a *principal.Unavailable.
func (o *Owners) OfProof(ctx context.Context, method principal.Method, credential string) (principal.Principal, error) {
	p, ok, err := o.owner(ctx, credential)
	switch {
	case err != nil:
		return principal.Principal{}, err
	case !ok:
		return principal.Principal{}, principal.Refuse("this identity is not registered", fmt.Errorf("%.200q", credential))
	}
	p.Method, p.Via, p.MFA, p.Credential, p.Issuer, p.Subject, p.Expires = method, "", false, credential, "", credential, time.Time{}
	return p, checkStored(p)
}

// OfToken returns the principal of a token: the one to whom its subject belongs, and
// otherwise the one that it names. An error is a *principal.Refusal or a
// *principal.Unavailable.
//
// A token says what its subject is now, so its roles, groups and scopes count. A token of
// another tenant than its owner's is refused: neither may decide for the other.
func (o *Owners) OfToken(ctx context.Context, p principal.Principal) (principal.Principal, error) {
	owner, ok, err := o.owner(ctx, p.ID)
	switch {
	case err != nil:
		return principal.Principal{}, err
	case !ok:
		return p, nil
	case owner.Tenant != p.Tenant:
		return principal.Principal{}, principal.Refuse("this identity belongs to another tenant", nil)
	}
	p.ID = owner.ID
	return p, checkStored(p)
}

// Forget makes the next request with a credential look into the directory.
func (o *Owners) Forget(credential string) {
	if o != nil {
		o.answers.Forget(credential)
	}
}

func (o *Owners) owner(ctx context.Context, credential string) (principal.Principal, bool, error) {
	if o == nil {
		return principal.Principal{}, false, nil
	}
	p, ok, err := o.answers.Get(ctx, credential)
	if err != nil {
		return principal.Principal{}, false, principal.CannotCheck(time.Second, fmt.Errorf("owner of %.200q: %w", credential, err))
	}
	return p, ok, nil
}

// checkStored returns an error for what cannot be a principal although it is stored as
// one. No client can help it.
func checkStored(p principal.Principal) error {
	if err := p.Check(); err != nil {
		return principal.CannotCheck(time.Minute, errors.Join(errors.New("the owner as it is stored"), err))
	}
	return nil
}
