package pins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Config is what a Service needs.
type Config struct {
	// DB is a session on the gateway's keyspace.
	DB *scylla.DB
	// Quota says what a tenant may hold. Each Create and Remove asks it: it must remember
	// what it was told. Nil means that nobody has a limit.
	Quota func(ctx context.Context, tenant string) (Quota, error)
	// MaxRepl is the largest replication a request may ask for, beside -1; 0 means MaxRepl.
	// More than the cluster has peers cannot be had: the pin then gets the default.
	MaxRepl int
	// Claims are told what becomes of requests. Nil means that nobody is: then nothing of that
	// is stored either. All instances on a keyspace have some, or none has.
	Claims Claims
}

// Service is the requests of all tenants. It is safe for concurrent use, and any number of
// instances may work on one keyspace. An error that is none of this package's is a failure
// of the database, or of Quota; after one the outcome is open.
type Service struct {
	db     *scylla.DB
	limits func(context.Context, string) (Quota, error)
	// maxRepl is that of Config.
	maxRepl int
	// told is Claims of Config.
	told   Claims
	slicer *slicer
	usage  *usage
	queue  *queue
	// walkTime bounds a search for a page that has looked at walkLeast requests: if so few take
	// longer, it is the database that is slow, and no client could ask for less.
	walkTime  time.Duration
	walkLeast int

	now func() time.Time
	// at is told each step that was made, and fails in tests that stop there.
	at func(step string) error
	// wait is how a recount waits.
	wait func(context.Context, time.Duration) error
}

const (
	// actMost is how long what a todo row announces may take: the row is looked at
	// todoAfter after it was written, and finds all of it done then, or none of it ever.
	actMost = 20 * time.Second
	// deleteAhead is how far the timestamps of deletions are ahead of the clock, so that a
	// change whose observation began before brings nothing back. It is more than clocks
	// differ, and less than the three days that ScyllaDB refuses.
	deleteAhead = time.Hour
	// maxLogged is how large a request may be to be written by one logged batch, in bytes:
	// Cassandra warns of a batch of 5 KiB and refuses one of 50 KiB, and this one has it
	// twice.
	maxLogged = 2 << 10
	// walkMost bounds a search for a page.
	walkMost = 5 * time.Second
)

// errLate says that a step took so long that the look that mends may have gone before it.
var errLate = errors.New("the database took too long: the outcome is open")

// New returns a service. Close it.
func New(conf Config) *Service {
	s := &Service{
		db: conf.DB, limits: conf.Quota, maxRepl: cmp.Or(conf.MaxRepl, MaxRepl), told: conf.Claims, slicer: newSlicer(), queue: newQueue(queueSize), walkTime: walkMost, walkLeast: listPage,
		now: time.Now, at: func(string) error { return nil }, wait: wait,
	}
	if s.limits == nil {
		s.limits = func(context.Context, string) (Quota, error) { return Quota{}, nil }
	}
	s.usage = newUsage(s.db)
	return s
}

// wait waits, or ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Close gives back what of quotas is reserved and not used. The service is not used any
// more.
func (s *Service) Close(ctx context.Context) error { return s.usage.close(ctx) }

// Create makes a request. When it returns nil, the request is durable and every instance
// finds it. Errors: *InvalidError, *QuotaError.
func (s *Service) Create(ctx context.Context, n NewRequest) (Request, error) {
	n, err := n.checked(s.maxRepl)
	if err != nil {
		return Request{}, err
	}
	quota, err := s.limits(ctx, n.Tenant)
	if err != nil {
		return Request{}, fmt.Errorf("asking for the quota: %w", err)
	}
	if err := s.usage.take(ctx, n.Tenant, quota); err != nil {
		return Request{}, err
	}
	return s.create(ctx, n)
}

// Room returns nil if Create would find room in the tenant's quota now, and the quota has as
// many bytes left. It costs a read if there is a quota, and reserves nothing: it is to be asked
// before content is taken whose pin would be refused. Errors: *QuotaError.
func (s *Service) Room(ctx context.Context, tenant string, bytes int64) error {
	quota, err := s.limits(ctx, tenant)
	if err != nil {
		return fmt.Errorf("asking for the quota: %w", err)
	}
	return s.usage.room(ctx, tenant, quota, bytes)
}

// CheckOptions returns nil if Create will find nothing wrong with n but its CID, which need
// not be known yet. Whether there is room for it in the quota Room tells. Errors:
// *InvalidError.
func (s *Service) CheckOptions(n NewRequest) error { return n.checkOptions(s.maxRepl) }

// create makes a request that has its place in the quota.
func (s *Service) create(ctx context.Context, n NewRequest) (Request, error) {
	begun := time.Now()
	created, slice, noted := s.slicer.next(n.Tenant, s.now())
	if ahead := created - s.now().UnixMilli(); ahead > aheadMost {
		if err := wait(ctx, time.Duration(ahead-aheadMost)*time.Millisecond); err != nil {
			return Request{}, err
		}
		begun = time.Now()
	}
	rnd, err := newRnd()
	if err != nil {
		return Request{}, err
	}
	r := row{key: key{slice, created, rnd}, stamp: stampOf(time.UnixMilli(created), Queued)}
	r.Request = Request{
		ID: r.id(), Tenant: n.Tenant, Owner: n.Owner, CID: n.CID, Name: n.Name, Origins: n.Origins, Meta: n.Meta,
		Created: time.UnixMilli(created).UTC(), Status: Queued, ReplMin: n.ReplMin, ReplMax: n.ReplMax, Region: n.Region,
	}
	if err := s.announce(ctx, todoItem{cid: r.CID, tenant: r.Tenant, key: r.key, made: true, tell: s.told != nil}, todoAfter); err != nil {
		return Request{}, fmt.Errorf("making a request: %w", err)
	}
	if err := s.at("create: announced"); err != nil {
		return Request{}, err
	}
	if err := s.db.Write(ctx, r.claim()); err != nil {
		return Request{}, fmt.Errorf("making a claim: %w", err)
	}
	if err := s.at("create: claimed"); err != nil {
		return Request{}, err
	}
	if err := s.store(ctx, &r, noted); err != nil {
		return Request{}, fmt.Errorf("storing a request: %w", err)
	}
	if err := s.at("create: stored"); err != nil {
		return Request{}, err
	}
	if time.Since(begun) > actMost {
		return Request{}, fmt.Errorf("making a request: %w", errLate)
	}
	s.slicer.note(n.Tenant, slice)
	s.queue.push(work{cid: r.CID, tenant: r.Tenant, key: r.key, made: true, since: begun})
	return r.Request, nil
}

// claim makes the statement that claims the CID.
func (r *row) claim() scylla.Statement {
	return scylla.Bind(insertClaim, r.CID, r.Tenant, r.created, r.rnd, r.slice, r.ReplMin, r.ReplMax, listOrUnset(r.Origins), stampOf(time.UnixMilli(r.created), Queued))
}

// store writes a new request. One that is large is written piece by piece, the row that
// makes it one last: what a crash leaves before it the todo row removes.
func (s *Service) store(ctx context.Context, r *row, noted bool) error {
	var all []scylla.Statement
	if !noted {
		all = append(all, scylla.Bind(insertSlice, r.Tenant, r.slice))
	}
	all = append(all, r.insert(insertByStatus, Queued, r.stamp), r.insert(insertPin, Queued, r.stamp))
	if r.bytes() <= maxLogged {
		return s.db.WriteLogged(ctx, all)
	}
	for _, statement := range all {
		if err := s.db.Write(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// bytes is about what a row takes.
func (r *row) bytes() int {
	n := len(r.Tenant) + len(r.Owner) + len(r.CID) + len(r.Name) + len(r.Region)
	for _, o := range r.Origins {
		n += len(o)
	}
	for k, v := range r.Meta {
		n += len(k) + len(v)
	}
	return n
}

// Get returns a request of the tenant. Errors: ErrNotFound, also for ids that are none.
func (s *Service) Get(ctx context.Context, tenant, id string) (Request, error) {
	r, err := s.get(ctx, tenant, id)
	if err != nil {
		return Request{}, err
	}
	return r.Request, nil
}

func (s *Service) get(ctx context.Context, tenant, id string) (row, error) {
	k, ok := parseID(id)
	if !ok || tenant == "" {
		return row{}, ErrNotFound
	}
	r, found, err := s.read(ctx, tenant, k)
	if err == nil && !found {
		err = ErrNotFound
	}
	return r, err
}

// read returns the row of a request, and whether there is one.
func (s *Service) read(ctx context.Context, tenant string, k key) (row, bool, error) {
	var r row
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectPin, tenant, k.slice, k.created, k.rnd), r.scanPin()...)
	if err != nil {
		return row{}, false, fmt.Errorf("reading a request: %w", err)
	}
	r.complete(tenant)
	return r, found, nil
}

// complete adds what is not in columns.
func (r *row) complete(tenant string) {
	r.Tenant, r.ID, r.Created = tenant, r.id(), time.UnixMilli(r.created).UTC()
}
