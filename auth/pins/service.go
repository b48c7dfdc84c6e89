package pins

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Config is what a Service needs.
type Config struct {
	// DB is a session on the gateway's keyspace.
	DB *scylla.DB
	// Quota says what a tenant may hold. Each Create and Remove asks it: it must remember
	// what it was told. Nil means that nobody has a limit.
	Quota func(ctx context.Context, tenant string) (Quota, error)
}

// Service is the requests of all tenants. It is safe for concurrent use, and any number of
// instances may work on one keyspace. An error that is none of this package's is a failure
// of the database, or of Quota; after one the outcome is open.
type Service struct {
	db    *scylla.DB
	quota func(context.Context, string) (Quota, error)
	now   func() time.Time
}

// New returns a service. Close it.
func New(conf Config) *Service {
	return &Service{db: conf.DB, quota: conf.Quota, now: time.Now}
}

// Close gives back what of quotas is reserved and not used. The service is not used any
// more.
func (s *Service) Close(ctx context.Context) error { return nil }

// Create makes a request. When it returns nil, the request is durable and every instance
// finds it. Errors: *InvalidError, *QuotaError.
func (s *Service) Create(ctx context.Context, n NewRequest) (Request, error) {
	return Request{}, nil
}

// Get returns a request of the tenant. Errors: ErrNotFound, also for ids that are none.
func (s *Service) Get(ctx context.Context, tenant, id string) (Request, error) {
	return Request{}, nil
}

// List returns the newest requests of the tenant that match. Errors: *InvalidError,
// *TooBroadError.
func (s *Service) List(ctx context.Context, tenant string, q Query) (Page, error) {
	return Page{}, nil
}

// OfCID returns the requests of the tenant for one CID, newest first, at most MaxLimit.
// Errors: *InvalidError.
func (s *Service) OfCID(ctx context.Context, tenant, cid string) ([]Request, error) {
	return nil, nil
}

// Replace makes a request and then removes the one with the id. The new one takes the place
// of the old one in the quota. n.Tenant must be tenant. Errors: those of Create and
// ErrNotFound.
func (s *Service) Replace(ctx context.Context, tenant, id string, n NewRequest) (Request, error) {
	return Request{}, nil
}

// Remove removes a request. When it returns nil, no instance finds it any more. Errors:
// ErrNotFound.
func (s *Service) Remove(ctx context.Context, tenant, id string) error { return nil }

// Usage returns what the tenant holds.
func (s *Service) Usage(ctx context.Context, tenant string) (Usage, error) {
	return Usage{}, nil
}

// Recount counts what the tenant holds and mends the lists by status where a crash has left
// something. It takes minutes, most of which it waits. To be called daily, and when a limit
// is given to a tenant that had none.
func (s *Service) Recount(ctx context.Context, tenant string) (Usage, error) {
	return Usage{}, nil
}
