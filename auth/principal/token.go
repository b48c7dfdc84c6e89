package principal

import (
	"context"
	"time"
)

// Token is what a denylist is asked about: a token that is good in all else.
type Token struct {
	Issuer    string
	ID        string // the claim jti; may be empty
	SessionID string // the claim sid; may be empty
	// Principal is the id of the principal, and Tenant its tenant: two tenants may have
	// principals of one id.
	Principal, Tenant string
	// Issued is the claim iat. Zero if the token does not say, so that it is from before
	// whatever moment a principal's tokens are good from.
	Issued time.Time
}

// Denylist knows which tokens were withdrawn before their time: one by its id, all of a
// session, or all of a principal that were issued before some moment. Safe for concurrent
// use. An error means that it is not known: the token cannot be checked now.
type Denylist interface {
	Denied(ctx context.Context, token Token) (bool, error)
}
