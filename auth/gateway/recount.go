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
	// recountsAtOnce is how many tenants are counted at a time: a count mostly waits.
	recountsAtOnce = 32
)

// recount counts what the tenants hold that have a limit, each once a day by one gateway, until
// ctx ends. Whatever a crash has left counts for no longer.
func recount(ctx context.Context, db *scylla.DB, tenants *accounts.Service, requests *pins.Service) {
	holder := scylla.Process() + " " + uuid.NewString()
	for {
		var counting errgroup.Group
		counting.SetLimit(recountsAtOnce)
		after := ""
		for ctx.Err() == nil {
			page, err := tenants.ListTenants(ctx, after, 0)
			if err != nil {
				logger.Debugf("what tenants hold is not counted now: %s", err)
				break
			}
			for _, t := range page.All {
				if t.MaxPins == 0 && t.MaxBytes == 0 {
					continue
				}
				counting.Go(func() error {
					if err := recountOne(ctx, db, holder, t.ID, requests); err != nil && ctx.Err() == nil {
						logger.Warnf("what the tenant %s holds was not counted, its limit goes by an older count: %s", t.ID, err)
					}
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

// recountOne counts what a tenant holds if that is due and nobody else does.
func recountOne(ctx context.Context, db *scylla.DB, holder, tenant string, requests *pins.Service) error {
	used, err := requests.Usage(ctx, tenant)
	if err != nil || time.Since(used.Counted) < recountAfter {
		return err
	}
	lease := "recount " + tenant
	epoch, held, err := db.TryLease(ctx, lease, holder, recountMost)
	if err != nil || !held {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, recountMost)
	defer cancel()
	_, err = requests.Recount(limited, tenant)
	free, stop := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer stop()
	if freed := db.FreeLease(free, lease, holder, epoch); freed != nil {
		logger.Debugf("the lease %s runs out by itself: %s", lease, freed)
	}
	return err
}
