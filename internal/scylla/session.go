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

// DB is an open session and what was learnt about the cluster behind it. Its
// requests are Read, Rows, Write, WriteAll, WriteLogged, CAS and Scan. It is safe
// for concurrent use.
type DB struct {
	// Session is the driver's own, for tests and benchmarks: what is sent
	// through it has none of the limits that requests have.
	Session  *gocql.Session
	Dialect  Dialect
	Keyspace string
	// LocalDC is the data centre that serves the requests.
	LocalDC string

	conf  Config
	nodes []node        // as they were when the session was opened
	limit time.Duration // of one request
	// dialer has the connections.
	dialer *dialer
	// leaseTime is how long a lease lasts that is not renewed.
	leaseTime time.Duration
	health    *health
	outage    outage
	// connects keeps why connections fail.
	connects lastConnectError
	// asked counts the nodes of other data centres that were asked for their
	// time.
	asked  atomic.Uint32
	clocks clocks
	// skew is what Skew has measured last.
	skew lastSkew
	slow slowLog
	// traces has servers trace requests, nil if it does not.
	traces *traces
}

const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
	// newServer is how long a server that could not be reached may refuse a password that is
	// right: it listens before it has made its first role.
	newServer = 30 * time.Second
)

// Open connects, and waits until it can: it tries again with growing pauses
// until conf.ConnectTimeout has passed or ctx ends, and logs each attempt. A
// mistake that waiting cannot mend ends it at once with a PermanentError. setup
// does what else must work before the database counts as ready, such as the
// schema; when it fails the whole is tried again.
func Open(ctx context.Context, conf Config, setup func(context.Context, *DB) error) (*DB, error) {
	if conf.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, conf.ConnectTimeout,
			fmt.Errorf("no connection within connect_timeout (%s)", conf.ConnectTimeout))
		defer cancel()
	}
	if conf.Password != "" && conf.TLS == nil {
		logger.Warnf("the password of the database travels in clear text: set %s", conf.field("tls.enabled"))
	}
	pause := firstPause
	var down time.Time // when the database could not be reached last
	for attempt := 1; ; attempt++ {
		db, err := open(ctx, conf)
		if err == nil {
			if err = setup(ctx, db); err != nil {
				db.Close()
			}
		}
		if err == nil {
			logger.Infof("connected to %s, data centre %s, keyspace %s", db.Dialect, db.LocalDC, db.Keyspace)
			return db, nil
		}
		if hopeless(err, time.Since(down)) {
			return nil, fmt.Errorf("connecting to the database at %s: %w", conf.addresses(), err)
		}
		if !Permanent(err) {
			down = time.Now()
		}
		if ctx.Err() == nil {
			if conf.Waiting != nil {
				conf.Waiting(err)
			}
			logger.Warnf("the database at %s is not ready (attempt %d): %s; next try in %s", conf.addresses(), attempt, err, pause)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to the database at %s: %w; last attempt: %w", conf.addresses(), context.Cause(ctx), err)
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// hopeless reports whether waiting cannot mend what has failed, so long after the database
// could not be reached.
func hopeless(err error, reached time.Duration) bool {
	code, _ := Code(err)
	return Permanent(err) && (code != gocql.ErrCodeCredentials || reached >= newServer)
}

// open learns what the cluster is, makes the keyspace if it may, and opens the
// session: to the local data centre only, and as soon as one node answers.
func open(ctx context.Context, conf Config) (*DB, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, err := conf.survey(ctx, questionTimeout)
	if err != nil {
		return nil, err
	}
	defer c.close()
	db := &DB{Dialect: c.dialect, Keyspace: conf.Keyspace, conf: conf, nodes: c.nodes, limit: conf.RequestTimeout, leaseTime: leaseTime}
	if err := db.Dialect.supported(); err != nil {
		return nil, err
	}
	if db.LocalDC, err = conf.localDC(c.nodes); err != nil {
		return nil, err
	}
	if err := c.ensureKeyspace(ctx); err != nil {
		return nil, err
	}
	if err := db.connect(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// connect opens the session. The driver knows no context here: when ctx ends
// first, the session is closed behind the caller's back as soon as it opens.
func (db *DB) connect(ctx context.Context) error {
	cc, err := db.conf.cluster()
	if err != nil {
		return err
	}
	db.dialer = newDialer(connectTimeout)
	db.health = newHealth(db.ask, func(ip net.IP) { db.conf.Metrics.cutOff(db.dialer.cut(ip)) }, db.localIDs)
	db.connects.metrics = db.conf.Metrics
	db.traces = newTraces(db.conf.Trace, db.conf.Metrics, db.fetchTrace)
	cc.Keyspace = db.Keyspace
	cc.Dialer = db.dialer
	cc.ConnectObserver = &db.connects
	cc.QueryObserver, cc.BatchObserver = observer{db.health}, observer{db.health}
	cc.HostFilter = gocql.DataCenterHostFilter(db.LocalDC)
	cc.PoolConfig.HostSelectionPolicy = newHosts(db.LocalDC, db.health)
	type result struct {
		session *gocql.Session
		err     error
	}
	done := make(chan result, 1)
	go func() {
		session, err := cc.CreateSession()
		done <- result{session, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			db.traces.close()
			return db.conf.explainConnect(r.err, db.connects.get())
		}
		db.Session = r.session
		db.conf.Metrics.watch(db)
		return nil
	case <-ctx.Done():
		db.traces.close()
		go func() {
			if r := <-done; r.session != nil {
				r.session.Close()
			}
		}()
		return context.Cause(ctx)
	}
}

// Close closes the session. Requests that are under way fail. It may be called
// once.
func (db *DB) Close() {
	db.conf.Metrics.leave(db)
	db.traces.close()
	db.health.close()
	db.Session.Close()
	db.slow.close()
}

// ask sends one host the smallest request there is.
func (db *DB) ask(ctx context.Context, host string, limit time.Duration) error {
	var key string
	return db.query(ctx, gocql.One, Bind("SELECT key FROM system.local WHERE key = 'local'"), limit).SetHostID(host).Scan(&key)
}

// Shards returns the number of shards that serve the requests: those of the
// nodes of the local data centre that are up. A node of Apache Cassandra counts
// as one.
func (db *DB) Shards() int {
	n := 0
	for _, h := range db.localHosts() {
		n += max(1, h.ScyllaShardCount())
	}
	return max(1, n)
}

// localHosts are the nodes of the local data centre that are up.
func (db *DB) localHosts() []*gocql.HostInfo {
	return slices.DeleteFunc(db.localNodes(), func(h *gocql.HostInfo) bool { return !h.IsUp() })
}

// localNodes are the nodes of the local data centre, up or not.
func (db *DB) localNodes() []*gocql.HostInfo {
	var out []*gocql.HostInfo
	for _, h := range db.Session.GetHosts() {
		if h.DataCenter() == db.LocalDC {
			out = append(out, h)
		}
	}
	return out
}

func (db *DB) localIDs() []string {
	var out []string
	for _, h := range db.localHosts() {
		out = append(out, h.HostID())
	}
	return out
}

// SameCluster reports whether both are sessions to one cluster.
func (db *DB) SameCluster(other *DB) bool {
	ours := make(map[string]bool)
	for _, h := range db.Session.GetHosts() {
		ours[h.HostID()] = true
	}
	for _, h := range other.Session.GetHosts() {
		if ours[h.HostID()] {
			return true
		}
	}
	return false
}

// lastConnectError is an observer that keeps the newest failure, until a
// connection works, and counts them.
type lastConnectError struct {
	metrics *Metrics

	mu  sync.Mutex
	err error
}

// ObserveConnect is called by the driver after each connection.
func (l *lastConnectError) ObserveConnect(o gocql.ObservedConnect) {
	l.metrics.connected(o.Host, o.Err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = o.Err
}

func (l *lastConnectError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// joinDifferent joins errors in one line, each text once.
func joinDifferent(errs []error) error {
	seen := make(map[string]bool)
	var all error
	for _, err := range errs {
		switch {
		case all == nil:
			all = err
		case !seen[err.Error()]:
			all = fmt.Errorf("%w; %w", all, err)
		}
		seen[err.Error()] = true
	}
	return all
}
