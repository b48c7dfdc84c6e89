package scylla

import (
	"context"
	"fmt"
	"net"
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
// one wrong node does not speak for all. The local ones are waited for, the others
// as long as one answer may take: they are seldom needed, and must hold up no start.
func (db *DB) Skew(ctx context.Context) (time.Duration, error) {
	var some readingsOf
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.After(readingTime)
	remote := make(chan struct{})
	go func() {
		defer close(remote)
		db.askRemote(ctx, &some)
	}()
	var local sync.WaitGroup
	for _, h := range db.localHosts() {
		local.Go(func() {
			skew, err := db.skewTo(ctx, h.HostID())
			some.add(reading{h.ConnectAddressAndPort(), skew, err})
		})
	}
	local.Wait()
	select {
	case <-remote:
	case <-late:
	}
	all := some.get()

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

// readingsOf collects readings. It is safe for concurrent use.
type readingsOf struct {
	mu  sync.Mutex
	all []reading
}

func (r *readingsOf) add(one reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

func (r *readingsOf) get() []reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// askRemote asks a node of each other data centre.
func (db *DB) askRemote(ctx context.Context, some *readingsOf) {
	addrs, err := db.remoteNodes(ctx)
	if err != nil {
		logger.Debugf("the nodes of other data centres are not asked for their time: %s", err)
	}
	var asked sync.WaitGroup
	for _, addr := range addrs {
		asked.Go(func() {
			skew, err := db.remoteSkew(ctx, addr)
			some.add(reading{addr, skew, err})
		})
	}
	asked.Wait()
}

// remoteNodes is the address of one node of each other data centre, another one each
// time. The session does not know them: it is of the local one only.
func (db *DB) remoteNodes(ctx context.Context) ([]string, error) {
	rows := db.Rows(ctx, gocql.One, peersPage, Bind("SELECT data_center, rpc_address FROM system.peers"))
	byDC := make(map[string][]string)
	var dc string
	var addr net.IP
	for rows.Next(&dc, &addr) {
		if addr != nil && dc != "" && dc != db.LocalDC { // else it joins or leaves
			byDC[dc] = append(byDC[dc], addr.String())
		}
		dc, addr = "", nil
	}
	var out []string
	for _, addrs := range byDC {
		out = append(out, addrs[int(db.asked.Add(1))%len(addrs)])
	}
	return out, rows.Close()
}

// peersPage is how many nodes one request lists.
const peersPage = 1000

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
