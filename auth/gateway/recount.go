package gateway

import (
	"context"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// recountAfter is how old the count of what a tenant holds may be.
	recountAfter = 24 * time.Hour
	// recountEvery is how often it is looked which counts are older.
	recountEvery = 10 * time.Minute
	// recountMost bounds one count: the lease of who counts ends then.
	recountMost = 2 * time.Hour
	// verifyMost bounds one look at all that a tenant has pinned.
	verifyMost = 12 * time.Hour
	// recountsAtOnce is how many tenants are counted at a time: a count mostly waits.
	recountsAtOnce = 32
)

// recounter counts what tenants hold, and looks at whether the cluster still holds it.
type recounter struct {
	db       *scylla.DB
	holder   string // of leases
	tenants  *accounts.Service
	requests *pins.Service
	worker   *pins.Worker
}

func newRecounter(db *scylla.DB, tenants *accounts.Service, requests *pins.Service, worker *pins.Worker) *recounter {
	return &recounter{db, scylla.Process() + " " + uuid.NewString(), tenants, requests, worker}
}

// run counts what each tenant holds once a day by one gateway, until ctx ends. Whatever a
// crash has left counts for no longer, and what somebody has unpinned is pinned again.
func (r *recounter) run(ctx context.Context) {
	for {
		var counting errgroup.Group
		counting.SetLimit(recountsAtOnce)
		after := ""
		for ctx.Err() == nil {
			page, err := r.tenants.ListTenants(ctx, after, 0)
			if err != nil {
				logger.Debugf("what tenants hold is not counted now: %s", err)
				break
			}
			for _, t := range page.All {
				counting.Go(func() error {
					r.one(ctx, t.ID)
					return nil
				})
			}
			if after = page.Next; after == "" {
				break
			}
		}
		_ = counting.Wait() // no function fails
		select {
		case <-ctx.Done():
			return
		case <-time.After(recountEvery):
		}
	}
}

// one counts what a tenant holds and looks at it, if that is due and nobody else does.
func (r *recounter) one(ctx context.Context, tenant string) {
	counted, err := r.count(ctx, tenant)
	if err != nil && ctx.Err() == nil {
		logger.Warnf("what the tenant %s holds was not counted, its limit goes by an older count: %s", tenant, err)
	}
	if !counted {
		return
	}
	limited, cancel := context.WithTimeout(ctx, verifyMost)
	defer cancel()
	if err := r.worker.Verify(limited, tenant); err != nil && ctx.Err() == nil {
		logger.Warnf("not all that the tenant %s has pinned was looked at, it is again in %s: %s", tenant, recountAfter, err)
	}
}

// count counts what a tenant holds if that is due and nobody else does.
func (r *recounter) count(ctx context.Context, tenant string) (counted bool, err error) {
	used, err := r.requests.Usage(ctx, tenant)
	if err != nil || time.Since(used.Counted) < recountAfter {
		return false, err
	}
	lease := "recount " + tenant
	epoch, held, err := r.db.TryLease(ctx, lease, r.holder, recountMost)
	if err != nil || !held {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, recountMost)
	defer cancel()
	_, err = r.requests.Recount(limited, tenant)
	free, stop := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer stop()
	if freed := r.db.FreeLease(free, lease, r.holder, epoch); freed != nil {
		logger.Debugf("the lease %s runs out by itself: %s", lease, freed)
	}
	return err == nil, err
}
