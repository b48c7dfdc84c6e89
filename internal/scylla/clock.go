package scylla

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
)

const (
	// SkewError is how far the result of Skew may be off. A reading is off by
	// at most half its round trip; slower ones do not count.
	SkewError = 100 * time.Millisecond
	// readings is how often a node is asked at the most.
	readings = 5
	// outlier is how far one node's clock may be from the others' before it
	// is named in the log.
	outlier = 250 * time.Millisecond
)

// Skew measures how far this machine's clock is ahead of the nodes' (negative:
// behind), within SkewError. It asks every node that is up and takes the median,
// so that one wrong node does not speak for all.
func (db *DB) Skew(ctx context.Context) (time.Duration, error) {
	var skews []time.Duration
	byHost := make(map[string]time.Duration)
	var errs []error
	for _, h := range db.GetHosts() {
		if !h.IsUp() {
			continue
		}
		skew, err := db.skewTo(ctx, h.HostID())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		skews = append(skews, skew)
		byHost[h.ConnectAddress().String()] = skew
	}
	if len(skews) == 0 {
		return 0, fmt.Errorf("asking the nodes for their time: %w", errors.Join(errs...))
	}
	slices.Sort(skews)
	median := skews[(len(skews)-1)/2]
	for host, skew := range byHost {
		if off := median - skew; off.Abs() > outlier {
			logger.Warnf("the clock of node %s differs by %s from the other nodes'", host, off.Round(time.Millisecond))
		}
	}
	return median, nil
}

// skewTo asks one node until an answer comes fast enough to mean something.
func (db *DB) skewTo(ctx context.Context, host string) (time.Duration, error) {
	ctx = WithTrail(ctx)
	for range readings {
		var id gocql.UUID
		before := time.Now()
		err := db.Query("SELECT now() FROM system.local WHERE key = 'local'").WithContext(ctx).
			Consistency(gocql.One).Idempotent(true).SetHostID(host).Scan(&id)
		if err != nil {
			return 0, Describe(ctx, err)
		}
		if rtt := time.Since(before); rtt/2 <= SkewError {
			return before.Add(rtt / 2).Sub(id.Time()), nil
		}
	}
	return 0, fmt.Errorf("%d answers of host %s took longer than %s", readings, host, 2*SkewError)
}
