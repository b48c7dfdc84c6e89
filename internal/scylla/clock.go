package scylla

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

// Skew measures how far this machine's clock is ahead of the nodes' clocks
// (negative: behind). It asks every node that is up and returns the reading
// that is farthest off. Half the round trip is the error of a reading and is
// taken off its size, so a slow network never looks like a wrong clock.
func (db *DB) Skew(ctx context.Context) (time.Duration, error) {
	var worst time.Duration
	var lastErr error
	asked := 0
	for _, h := range db.GetHosts() {
		if !h.IsUp() {
			continue
		}
		skew, err := db.skewTo(ctx, h.HostID())
		if err != nil {
			lastErr = err
			continue
		}
		asked++
		if skew.Abs() > worst.Abs() {
			worst = skew
		}
	}
	if asked == 0 {
		return 0, fmt.Errorf("asking the nodes for their time: %w", lastErr)
	}
	return worst, nil
}

func (db *DB) skewTo(ctx context.Context, host string) (time.Duration, error) {
	ctx = WithTrail(ctx)
	var id gocql.UUID
	before := time.Now()
	err := db.Query("SELECT now() FROM system.local WHERE key = 'local'").WithContext(ctx).
		Consistency(gocql.One).Idempotent(true).SetHostID(host).Scan(&id)
	if err != nil {
		return 0, Describe(ctx, err)
	}
	rtt := time.Since(before)
	skew := before.Add(rtt / 2).Sub(id.Time())
	switch slack := rtt/2 + time.Millisecond; {
	case skew > slack:
		return skew - slack, nil
	case skew < -slack:
		return skew + slack, nil
	}
	return 0, nil
}
