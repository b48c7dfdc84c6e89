package scylla

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

const (
	// SkewError is how far the result of Skew may be off. A reading is off by
	// at most half its round trip; slower ones do not count.
	SkewError = 100 * time.Millisecond
	// readings is how often a node is asked at the most.
	readings = 5
	// readingTime is how long one answer is waited for.
	readingTime = time.Second
	// outlier is how far one node's clock may be from the others' before it
	// is named in the log.
	outlier = 250 * time.Millisecond
)

const selectNow = "SELECT now() FROM system.local WHERE key = 'local'"

// reading is what one node's clock says.
type reading struct {
	host string
	skew time.Duration
	err  error
}

// Skew measures how far this machine's clock is ahead of the nodes' (negative:
// behind), within SkewError. It asks every node of the local data centre and one
// of each other, all at once, and takes the median of those that answer, so that
// one wrong node does not speak for all.
func (db *DB) Skew(ctx context.Context) (time.Duration, error) {
	var all []reading
	var mu sync.Mutex
	var wg sync.WaitGroup
	ask := func(host string, read func() (time.Duration, error)) {
		wg.Go(func() {
			skew, err := read()
			mu.Lock()
			defer mu.Unlock()
			all = append(all, reading{host, skew, err})
		})
	}
	for _, h := range db.localHosts() {
		ask(h.ConnectAddressAndPort(), func() (time.Duration, error) { return db.skewTo(ctx, h.HostID()) })
	}
	for _, h := range db.remoteHosts() {
		ask(h.ConnectAddressAndPort(), func() (time.Duration, error) { return db.remoteSkew(ctx, h.ConnectAddress().String()) })
	}
	wg.Wait()

	var skews []time.Duration
	var errs []error
	for _, r := range all {
		if r.err != nil {
			errs = append(errs, r.err)
			continue
		}
		skews = append(skews, r.skew)
	}
	if len(skews) == 0 {
		why := gocql.ErrNoConnections // nobody was asked
		if len(errs) > 0 {
			why = errs[0]
		}
		why = db.describe(ctx, new(trail), why, false)
		db.NotServed(why)
		return 0, fmt.Errorf("asking the nodes for their time: %w", why)
	}
	slices.Sort(skews)
	median := skews[(len(skews)-1)/2]
	for _, r := range all {
		if off := median - r.skew; r.err == nil && off.Abs() > outlier {
			logger.Warnf("the clock of node %s differs by %s from the other nodes'", r.host, off.Round(time.Millisecond))
		}
	}
	return median, nil
}

// remoteHosts is one node of each other data centre, another one each time.
func (db *DB) remoteHosts() []*gocql.HostInfo {
	byDC := make(map[string][]*gocql.HostInfo)
	for _, h := range db.Session.GetHosts() {
		if h.DataCenter() != db.LocalDC {
			byDC[h.DataCenter()] = append(byDC[h.DataCenter()], h)
		}
	}
	var out []*gocql.HostInfo
	for _, hosts := range byDC {
		out = append(out, hosts[int(db.asked.Add(1))%len(hosts)])
	}
	return out
}

// skewTo asks one node of the session.
func (db *DB) skewTo(ctx context.Context, host string) (time.Duration, error) {
	return fastReading(func() (id gocql.UUID, err error) {
		err = db.query(ctx, gocql.One, Bind(selectNow), readingTime).SetHostID(host).Scan(&id)
		return id, err
	})
}

// remoteSkew asks a node that the session has no connection to.
func (db *DB) remoteSkew(ctx context.Context, addr string) (skew time.Duration, err error) {
	c, err := db.conf.dialContact(addr, readingTime)
	if err != nil {
		return 0, err
	}
	defer c.close()
	err = c.within(ctx, readings*readingTime, func() (err error) {
		skew, err = fastReading(func() (id gocql.UUID, err error) {
			iter := c.exec.Iter(selectNow)
			iter.Scan(&id)
			return id, iter.Close()
		})
		return err
	})
	return skew, err
}

// fastReading asks until an answer comes fast enough to mean something.
func fastReading(ask func() (gocql.UUID, error)) (time.Duration, error) {
	for range readings {
		before := time.Now()
		id, err := ask()
		if err != nil {
			return 0, err
		}
		if rtt := time.Since(before); rtt/2 <= SkewError {
			return before.Add(rtt / 2).Sub(id.Time()), nil
		}
	}
	return 0, fmt.Errorf("%d answers took longer than %s each", readings, 2*SkewError)
}
