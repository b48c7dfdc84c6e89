package scylla

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// DB is an open session and what was learnt about the cluster behind it. The
// session is the driver's own; all its methods are for use.
type DB struct {
	*gocql.Session
	Dialect  Dialect
	Keyspace string
	// LocalDC is the data centre that serves the requests.
	LocalDC string
	// Nodes is the number of nodes in the cluster when the session opened.
	Nodes int
}

const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
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
		logger.Warn("the password of the database travels in clear text: set state.scylla.tls.enabled")
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		db, err := open(ctx, conf)
		if err == nil {
			if err = setup(ctx, db); err != nil {
				db.Close()
			}
		}
		if err == nil {
			logger.Infof("connected to %s, data centre %s, %d nodes, keyspace %s", db.Dialect, db.LocalDC, db.Nodes, db.Keyspace)
			return db, nil
		}
		if Permanent(err) {
			return nil, fmt.Errorf("connecting to the database at %s: %w", conf.addresses(), err)
		}
		if ctx.Err() == nil {
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

func open(ctx context.Context, conf Config) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	db := &DB{Keyspace: conf.Keyspace}
	err := db.survey(ctx, conf)
	if err != nil {
		return nil, err
	}
	cc, err := conf.cluster()
	if err != nil {
		return nil, &PermanentError{Text: "setting up the session", Err: err}
	}
	cc.Keyspace = conf.Keyspace
	cc.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(
		gocql.DCAwareRoundRobinPolicy(db.LocalDC, gocql.HostPolicyOptionDisableDCFailover),
		gocql.ShuffleReplicas())
	db.Session, err = connect(ctx, cc)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// survey opens a plain session, learns engine, version and data centres,
// checks the configuration against them and makes the keyspace.
func (db *DB) survey(ctx context.Context, conf Config) error {
	cc, err := conf.cluster()
	if err != nil {
		return &PermanentError{Text: "setting up the session", Err: err}
	}
	cc.NumConns = 1
	ctx = WithTrail(ctx)
	session, err := connect(ctx, cc)
	if err != nil {
		return err
	}
	defer session.Close()

	hosts := session.GetHosts()
	db.Nodes = len(hosts)
	nodes := make(map[string]int)
	db.Dialect = Dialect{Engine: Cassandra}
	for _, h := range hosts {
		nodes[h.DataCenter()]++
		if h.ScyllaShardCount() > 0 {
			db.Dialect.Engine = ScyllaDB
		}
	}
	version := "SELECT release_version FROM system.local WHERE key = 'local'"
	if db.Dialect.Engine == ScyllaDB {
		version = "SELECT version FROM system.versions WHERE key = 'local'"
	}
	if err := session.Query(version).WithContext(ctx).Consistency(gocql.One).Idempotent(true).Scan(&db.Dialect.Version); err != nil {
		return fmt.Errorf("asking the server for its version: %w", Describe(ctx, err))
	}
	if db.Dialect.Engine == ScyllaDB && !db.Dialect.hasTablets() {
		return &PermanentError{Text: fmt.Sprintf("this is ScyllaDB %s: use 2025.4 or newer (2025.1 works on keyspaces without tablets)", db.Dialect.Version)}
	}
	if db.LocalDC, err = localDC(conf.LocalDC, nodes); err != nil {
		return err
	}
	var found string
	err = session.Query("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", conf.Keyspace).
		WithContext(ctx).Consistency(gocql.One).Idempotent(true).Scan(&found)
	switch {
	case err == nil:
		return db.checkTablets(ctx, session)
	case !errors.Is(err, gocql.ErrNotFound):
		return fmt.Errorf("looking for the keyspace %s: %w", conf.Keyspace, Describe(ctx, err))
	case !conf.CreateKeyspace:
		return &PermanentError{Text: fmt.Sprintf("the keyspace %s does not exist and may not be created here: correct state.scylla.keyspace, or start one peer with schema: apply and a role that may create it", conf.Keyspace)}
	}
	replicas, err := replication(conf.Replication, nodes)
	if err != nil {
		return err
	}
	if err := session.Query(db.Dialect.CreateKeyspace(conf.Keyspace, replicas)).WithContext(ctx).RetryPolicy(NoRetry()).Exec(); err != nil {
		return fmt.Errorf("creating the keyspace %s: %w", conf.Keyspace, Describe(ctx, err))
	}
	if err := session.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("waiting until every node knows the keyspace %s: %w", conf.Keyspace, err)
	}
	logger.Infof("created the keyspace %s with %s", conf.Keyspace, describeReplicas(replicas))
	return nil
}

// checkTablets refuses an existing keyspace whose tables cannot be updated
// conditionally.
func (db *DB) checkTablets(ctx context.Context, session *gocql.Session) error {
	if db.Dialect.Engine != ScyllaDB || db.Dialect.lwtOnTablets() {
		return nil
	}
	var tablets *int // null: the keyspace has none; 0: as many as the server likes
	err := session.Query("SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?", db.Keyspace).
		WithContext(ctx).Consistency(gocql.One).Idempotent(true).Scan(&tablets)
	if err == nil && tablets != nil {
		return &PermanentError{Text: fmt.Sprintf("the keyspace %s uses tablets, and conditional updates work with tablets from ScyllaDB 2025.4 (this is %s): upgrade, or create the keyspace with tablets = {'enabled': false}", db.Keyspace, db.Dialect.Version)}
	}
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		return fmt.Errorf("asking whether the keyspace %s uses tablets: %w", db.Keyspace, Describe(ctx, err))
	}
	return nil
}

// localDC picks the data centre, given how many nodes each has.
func localDC(wanted string, nodes map[string]int) (string, error) {
	names := make([]string, 0, len(nodes))
	for dc := range nodes {
		names = append(names, dc)
	}
	sort.Strings(names)
	if wanted == "" && len(names) == 1 {
		return names[0], nil
	}
	if wanted == "" {
		return "", &PermanentError{Text: fmt.Sprintf("the cluster has %d data centres (%s): set state.scylla.local_dc to the one this peer is in", len(names), strings.Join(names, ", "))}
	}
	if nodes[wanted] == 0 {
		return "", &PermanentError{Text: fmt.Sprintf("the cluster has no data centre %q, only %s: correct state.scylla.local_dc", wanted, strings.Join(names, ", "))}
	}
	return wanted, nil
}

// replication checks what was asked for against the nodes there are, or
// chooses three replicas in each data centre that has so many nodes.
func replication(wanted, nodes map[string]int) (map[string]int, error) {
	out := make(map[string]int)
	for dc, n := range nodes {
		out[dc] = min(3, n)
	}
	if len(wanted) == 0 {
		return out, nil
	}
	for dc, n := range wanted {
		if nodes[dc] == 0 {
			return nil, &PermanentError{Text: fmt.Sprintf("state.scylla.replication names the data centre %q, which the cluster does not have", dc)}
		}
		if n > nodes[dc] {
			return nil, &PermanentError{Text: fmt.Sprintf("state.scylla.replication asks for %d replicas in %s, which has %d nodes: lower it or add nodes", n, dc, nodes[dc])}
		}
	}
	return wanted, nil
}

func describeReplicas(replicas map[string]int) string {
	var parts []string
	for dc, n := range replicas {
		parts = append(parts, fmt.Sprintf("%d replicas in %s", n, dc))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// connect opens a session. The driver puts the cause of a failure into its
// text only, so the typed error is taken from the connection observer. The
// driver knows no context here: when ctx ends first, the session is closed
// behind the caller's back as soon as it opens.
func connect(ctx context.Context, cc *gocql.ClusterConfig) (*gocql.Session, error) {
	last := &lastConnectError{}
	cc.ConnectObserver = last
	type result struct {
		session *gocql.Session
		err     error
	}
	done := make(chan result, 1)
	go func() {
		session, err := cc.CreateSession()
		done <- result{session, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		go func() {
			if r := <-done; r.session != nil {
				r.session.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
	if r.err == nil {
		return r.session, nil
	}
	// Its text ends with a line break, and it wraps nothing.
	err := errors.New(strings.TrimSpace(r.err.Error()))
	cause := last.get()
	code, ok := Code(cause)
	switch {
	case ok && code == gocql.ErrCodeCredentials:
		return nil, &PermanentError{Text: "the database refused the user name or the password: correct state.scylla.username and password", Err: cause}
	case strings.Contains(err.Error(), "authentication required"):
		return nil, &PermanentError{Text: "the database wants a user name and a password: set state.scylla.username and password", Err: err}
	case cause != nil && strings.Contains(err.Error(), cause.Error()):
		return nil, cause // the driver's text around it adds nothing
	case cause != nil:
		return nil, fmt.Errorf("%w; last failed connection: %w", err, cause)
	}
	return nil, err
}

type lastConnectError struct {
	mu  sync.Mutex
	err error
}

// ObserveConnect keeps the newest failure.
func (l *lastConnectError) ObserveConnect(o gocql.ObservedConnect) {
	if o.Err == nil {
		return
	}
	l.mu.Lock()
	l.err = o.Err
	l.mu.Unlock()
}

func (l *lastConnectError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
