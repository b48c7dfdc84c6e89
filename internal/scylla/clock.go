package scylla

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
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
	// RemoteEvery is how often nodes of other data centres are asked while all clocks
	// agree: each answer takes a connection of its own. It is short of the time for which
	// a reading counts, so that one that fails can be made again.
	RemoteEvery = 3 * time.Minute
	// remoteReadings is how many nodes of each other data centre are asked: one
	// that is wrong does not speak for its data centre.
	remoteReadings = 3
	// remoteTime is how long these are waited for, if not at a start: connecting to
	// one that is far away takes six or seven round trips.
	remoteTime = 10 * time.Second
)

const selectNow = "SELECT now() FROM system.local WHERE key = 'local'"

// Skew is how the clocks of this machine and of the nodes differ.
type Skew struct {
	// Ahead is how far this machine's clock is ahead of the nodes' (negative:
	// behind). Where these differ, that is the middle between the earliest and the
	// latest data centre.
	Ahead time.Duration
	// Spread is how far these two are apart. A data centre has the time of most of
	// its nodes: one wrong one among three does not count, also while another one is
	// silent that was heard in the last minutes.
	Spread time.Duration
	// Between names whose clocks are that far apart, empty for one node.
	Between string
}

// reading is what one node's clock says.
type reading struct {
	host string
	dc   string
	skew time.Duration
	err  error
}

// Skew compares this machine's clock with the nodes', within SkewError. It asks
// every node of the local data centre, and then some of each other, if that is due: every
// RemoteEvery, or when what is known of the clocks does not agree. It takes the median of
// those of a data centre, so that one wrong node does not speak for it. A node that is not
// asked, or does not answer, counts with what it has answered in the last minutes. The local
// ones are waited for, and the others as long as they may take, but the first time as long as
// one answer may take: they must hold up no start.
func (db *DB) Skew(ctx context.Context) (Skew, error) {
	some := readingsOf{keep: &db.clocks}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := db.clocks.patience()
	db.askLocal(ctx, &some)
	due := db.clocks.remoteDue(db.LocalDC, patience == remoteTime)
	if _, err := some.answered(); due || err != nil { // or else nobody is left to tell the time
		db.waitRemote(ctx, &some, patience)
	}
	answered, err := some.answered()
	if err != nil {
		err = db.describe(ctx, new(trail), err, false)
		db.NotServed(err)
		return Skew{}, fmt.Errorf("asking the nodes for their time: %w", err)
	}
	known, nodes := db.clocks.known(db.LocalDC)
	texts := strays(answered, known)
	if patience == remoteTime {
		texts = append(texts, db.clocks.unread(db.LocalDC)...)
	}
	for _, text := range texts {
		logger.Warn(text)
	}
	skew := skewOf(known, nodes)
	db.skew.set(skew.Ahead)
	return skew, nil
}

// lastSkew is a measurement that others read.
type lastSkew struct{ ahead atomic.Int64 }

func (l *lastSkew) set(ahead time.Duration) { l.ahead.Store(int64(ahead)) }

func (l *lastSkew) seconds() float64 { return time.Duration(l.ahead.Load()).Seconds() }

// readingsOf collects the readings of one measurement, and keeps them for later ones.
// It is safe for concurrent use.
type readingsOf struct {
	keep *clocks
	mu   sync.Mutex
	all  []reading
}

func (r *readingsOf) add(one reading) {
	r.keep.add(one)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

// answered returns the readings of the nodes that have answered, or why none has.
func (r *readingsOf) answered() ([]reading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []reading
	why := gocql.ErrNoConnections // nobody was asked
	for i, one := range r.all {
		switch {
		case one.err == nil:
			out = append(out, one)
		case i == 0:
			why = one.err
		}
	}
	if len(out) == 0 {
		return nil, why
	}
	return out, nil
}

// askLocal asks the nodes of the local data centre.
func (db *DB) askLocal(ctx context.Context, some *readingsOf) {
	n := 0
	for _, h := range db.Session.GetHosts() {
		if h.DataCenter() == db.LocalDC {
			n++
		}
	}
	db.clocks.count(db.LocalDC, n)
	var asked sync.WaitGroup
	for _, h := range db.localHosts() {
		asked.Go(func() {
			skew, err := db.skewTo(ctx, h.HostID())
			some.add(reading{h.ConnectAddressAndPort(), db.LocalDC, skew, err})
		})
	}
	asked.Wait()
}

// waitRemote is askRemote for as long as patience lasts.
func (db *DB) waitRemote(ctx context.Context, some *readingsOf, patience time.Duration) {
	remote := make(chan struct{})
	go func() {
		defer close(remote)
		db.askRemote(ctx, some)
	}()
	select {
	case <-remote:
	case <-time.After(patience):
	case <-ctx.Done():
	}
}

// askRemote asks nodes of the other data centres.
func (db *DB) askRemote(ctx context.Context, some *readingsOf) {
	nodes, err := db.remoteNodes(ctx)
	if err != nil {
		logger.Debugf("the nodes of other data centres are not asked for their time: %s", err)
	}
	var asked sync.WaitGroup
	for dc, addrs := range nodes {
		for _, addr := range addrs {
			asked.Go(func() {
				skew, err := db.remoteSkew(ctx, addr)
				some.add(reading{addr, dc, skew, err})
			})
		}
	}
	asked.Wait()
}

// remoteNodes are the addresses of some nodes of each other data centre, others each
// time. The session does not know them: it is of the local one only.
func (db *DB) remoteNodes(ctx context.Context) (map[string][]string, error) {
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
	err := rows.Close()
	if err == nil {
		db.clocks.countOthers(db.LocalDC, byDC)
	}
	for name, addrs := range byDC {
		first := int(db.asked.Add(1)) % len(addrs)
		byDC[name] = slices.Concat(addrs[first:], addrs[:first])[:min(remoteReadings, len(addrs))]
	}
	return byDC, err
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
