package scylla

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// The table of these tests, and a value that nobody else may see.
const (
	countedTable = "CREATE TABLE IF NOT EXISTS counted (k text PRIMARY KEY, v text) WITH ${point}"
	secretValue  = "5ecre7"
)

// countedDB is a session that is counted, with the table.
func countedDB(t *testing.T, conf Config) (*DB, *Metrics) {
	t.Helper()
	conf.Metrics = NewMetrics()
	db := openDB(t, conf)
	change(t, db, countedTable)
	return db, conf.Metrics
}

// TestCounted counts the requests of each kind at a real server.
func TestCounted(t *testing.T) {
	db, m := countedDB(t, testConfig(t))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	insert := Bind("INSERT INTO counted (k, v) VALUES (?, ?) USING TIMESTAMP ?", secretValue, secretValue, 1000)
	must(db.Write(t.Context(), insert))
	must(db.WriteAll(t.Context(), []Statement{insert, insert}))
	must(db.WriteLogged(t.Context(), []Statement{insert, insert}))
	for _, k := range []string{secretValue, "absent"} {
		_, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", k), new(string))
		must(err)
	}
	_, err := db.Read(t.Context(), gocql.Serial, Bind("SELECT v FROM counted WHERE k = ?", secretValue), new(string))
	must(err)
	for range 5 {
		must(db.Write(t.Context(), Bind("INSERT INTO counted (k, v) VALUES (?, ?) USING TIMESTAMP ?", gocql.TimeUUID().String(), "", 1000)))
	}
	for _, rows := range []*Rows{
		db.Rows(t.Context(), gocql.Quorum, 4, Bind("SELECT k FROM counted")), // two pages
		db.Scan(t.Context(), gocql.Quorum, 100, Bind("SELECT k FROM counted")),
	} {
		for rows.Next(new(string)) {
		}
		must(rows.Close())
	}
	for _, was := range []string{"nothing", secretValue} { // which is there
		_, _, err := db.CAS(t.Context(), Bind("UPDATE counted SET v = ? WHERE k = ? IF v = ?", "next", secretValue, was))
		must(err)
	}
	if err := db.Write(t.Context(), Bind("INSERT INTO counted (k, missing) VALUES ('"+secretValue+"', ?)", secretValue)); err == nil {
		t.Error("a column that is missing was written")
	}
	attempt := func(kind, cons, result, code string) string {
		return "cql_client_attempts_total{attempt=1,code=" + code + ",consistency=" + cons + ",kind=" + kind + ",result=" + result + "}"
	}
	expect(t, m, map[string]float64{
		"cql_client_requests_total{outcome=ok,statement=insert counted}":      6,
		"cql_client_requests_total{outcome=refused,statement=insert counted}": 1,
		"cql_client_requests_total{outcome=ok,statement=batch counted}":       2,
		"cql_client_requests_total{outcome=ok,statement=select counted}":      6,
		"cql_client_request_duration_seconds{statement=select counted}":       6,
		"cql_client_requests_total{outcome=ok,statement=update counted if}":   2,
		"cql_client_cas_total{result=applied,statement=update counted if}":    1,
		"cql_client_cas_total{result=conflict,statement=update counted if}":   1,
		"cql_client_cas_total{result=unknown,statement=update counted if}":    0,
		attempt("read", "QUORUM", "ok", noCode):                               4,
		attempt("read", "SERIAL", "ok", noCode):                               1,
		attempt("write", "QUORUM", "ok", noCode):                              6,
		attempt("write", "QUORUM", "refused", "0x2200"):                       1,
		attempt("batch", "QUORUM", "ok", noCode):                              2,
		attempt("scan", "QUORUM", "ok", noCode):                               1,
		attempt("cas", "QUORUM", "ok", noCode):                                2,
		"cql_client_given_up_total{reason=permanent}":                         1,
		"cql_client_in_flight{}":                                              0,
		"cql_client_serving{}":                                                1,
		"cql_client_hosts{state=up}":                                          1,
		"cql_client_hosts{state=down}":                                        0,
		"cql_client_connection_failures_total{host=" + db.conf.Hosts[0] + "}": 0,
		"cql_client_info{dialect=" + db.Dialect.String() + ",engine=" + string(db.Dialect.Engine) + ",keyspace=" + db.Keyspace + ",local_dc=dc1,version=" + db.Dialect.Version + "}": 1,
	})
	if n := connectionsIn(scraped(t, m), db.conf.Hosts[0]); sum(n) < 2 { // one of them is for control
		t.Errorf("connections %v", n)
	}
	if _, err := db.Skew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if skew := scraped(t, m)["cql_client_clock_skew_seconds{}"]; skew == 0 || skew > 1 || skew < -1 {
		t.Errorf("the clocks are %vs apart", skew)
	}
	for name := range scraped(t, m) {
		if strings.Contains(name, secretValue) {
			t.Errorf("a value is in %s", name)
		}
	}

	// More replicas than there are nodes.
	if err := db.Session.Query("ALTER KEYSPACE " + db.Keyspace + " WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}").Exec(); err != nil {
		t.Fatal(err)
	}
	cqltest.WaitFor(t, "a write to need two nodes", func() bool { return db.Write(t.Context(), insert) != nil })
	if got := scraped(t, m); got[attempt("write", "QUORUM", "unavailable", "0x1000")] == 0 || got["cql_client_requests_total{outcome=unavailable,statement=insert counted}"] == 0 ||
		got["cql_client_retries_total{reason=unavailable}"] < 2 || got["cql_client_given_up_total{reason=refusals}"] == 0 || got["cql_client_serving{}"] != 0 {
		t.Errorf("that too few nodes are up is counted as %v", got)
	}
}

// A session that is closed has no part in the metrics.
func TestClosedSessionIsNotCounted(t *testing.T) {
	conf := testConfig(t)
	conf.Metrics = NewMetrics()
	db, err := Open(t.Context(), conf, noSetup)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	got := scraped(t, conf.Metrics)
	if got["cql_client_serving{}"] != 0 || got["cql_client_hosts{state=up}"] != 0 || len(connectionsIn(got, conf.Hosts[0])) > 0 {
		t.Errorf("%v", got)
	}
}

// connectionsIn are the numbers of connections to a host in a scrape, by shard.
func connectionsIn(got map[string]float64, host string) map[string]int {
	out := make(map[string]int)
	for name, n := range got {
		if shard, ok := strings.CutPrefix(name, "cql_client_connections{host="+host+",shard="); ok {
			out[strings.TrimSuffix(shard, "}")] = int(n)
		}
	}
	return out
}

func sum(of map[string]int) (n int) {
	for _, one := range of {
		n += one
	}
	return n
}

// testConnectionsCounted counts the connections to each shard, as the node does.
func testConnectionsCounted(t *testing.T, own *cqltest.Own) {
	db, m := countedDB(t, configOn(own, own.Hosts()))
	var ours, theirs map[string]int
	cqltest.WaitFor(t, "the connections to be those of the node", func() bool {
		ours, theirs = connectionsIn(scraped(t, m), db.conf.Hosts[0]), make(map[string]int)
		for shard := range own.Face().Shards() {
			theirs[strconv.Itoa(shard)] = 0
		}
		for _, c := range own.Face().Nodes()[0].Connections() {
			shard := anyShard
			if c.ShardAware {
				shard = strconv.Itoa(c.Shard)
			}
			theirs[shard]++
		}
		for shard, n := range theirs {
			if ours[shard] != n {
				return false
			}
		}
		return sum(ours) == sum(theirs) && ours[anyShard] > 0 && sum(ours)-ours[anyShard] >= own.Face().Shards()-1
	})
}

// testFrozenCounted counts what a node that is frozen lets run out.
func testFrozenCounted(t *testing.T, own *cqltest.Own) {
	conf := configOn(own, own.Cluster().Hosts())
	conf.RequestTimeout = 1500 * time.Millisecond
	db, m := countedDB(t, conf)
	read := func() error {
		_, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", "a"), new(string))
		return err
	}
	cas := func() error {
		_, _, err := db.CAS(t.Context(), Bind("UPDATE counted SET v = ? WHERE k = ? IF v = ?", "a", "b", "c"))
		return err
	}
	for _, ask := range []func() error{read, cas} { // they are prepared
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.Cluster().Freeze(0); err != nil {
		t.Fatal(err)
	}
	failed, unclear := read(), cas()
	suspects := scraped(t, m)["cql_client_hosts{state=suspect}"]
	if err := own.Cluster().Resume(0); err != nil {
		t.Fatal(err)
	}
	if failed == nil || unclear == nil || suspects != 1 {
		t.Errorf("a frozen node answers: %v, %v, %v suspects", failed, unclear, suspects)
	}
	got := scraped(t, m)
	for name, least := range map[string]float64{
		"cql_client_attempts_total{attempt=1,code=none,consistency=QUORUM,kind=read,result=timeout}": 1,
		"cql_client_attempts_total{attempt=2,code=none,consistency=QUORUM,kind=read,result=timeout}": 1,
		"cql_client_requests_total{outcome=timeout,statement=select counted}":                        1,
		"cql_client_retries_total{reason=timeout}":                                                   1,
		"cql_client_given_up_total{reason=time_over}":                                                1,
		"cql_client_requests_total{outcome=timeout,statement=update counted if}":                     1,
		"cql_client_cas_total{result=unknown,statement=update counted if}":                           1,
	} {
		if got[name] < least {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if got["cql_client_serving{}"] != 0 {
		t.Error("the database serves")
	}
}

// testRefusedCounted counts connections that a node refuses.
func testRefusedCounted(t *testing.T, own *cqltest.Own) {
	db, m := countedDB(t, configOn(own, own.Hosts()))
	node := own.Face().Nodes()[0]
	node.Refuse()
	defer func() {
		if err := node.Accept(); err != nil {
			t.Error(err)
		}
	}()
	host := db.conf.Hosts[0]
	cqltest.WaitFor(t, "a connection to fail, and the node to be down", func() bool {
		got := scraped(t, m)
		return got["cql_client_connection_failures_total{host="+host+"}"] > 0 && got["cql_client_hosts{state=down}"] == 1
	})
	if n := sum(connectionsIn(scraped(t, m), host)); n != 0 {
		t.Errorf("%d connections to a node that is down", n)
	}
	if _, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", "a"), new(string)); err == nil {
		t.Error("a node that is down answers")
	}
	expect(t, m, map[string]float64{"cql_client_requests_total{outcome=not_sent,statement=select counted}": 1, "cql_client_given_up_total{reason=no_node}": 1})
}

// TestTraced has a real server trace requests, and reads what it has noted.
func TestTraced(t *testing.T) {
	got := make(chan ServerTrace, 100)
	conf := testConfig(t)
	conf.SlowQuery = 100 * time.Microsecond // no request is faster
	conf.Trace = Tracing{Ratio: 1, To: func(ctx context.Context, trace ServerTrace) {
		if ctx.Value(t) != "kept" {
			t.Error("the context is not that of the request")
		}
		got <- trace
	}}
	db, _ := countedDB(t, conf)
	if err := logging.SetLogLevel("scylla", "warn"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logging.SetLogLevel("scylla", "error") }()
	said := logtest.Follow(t, logging.LevelWarn)
	ctx := context.WithValue(t.Context(), t, "kept")
	insert := Bind("INSERT INTO counted (k, v) VALUES (?, ?) USING TIMESTAMP ?", secretValue, secretValue, 1000)
	for _, tt := range []struct {
		text, line string
		ask        func() error
	}{
		{"SELECT v FROM counted WHERE k = ?", "SELECT v FROM counted WHERE k = ? (read at QUORUM, attempts 1, ok, node ", func() error {
			_, err := db.Read(ctx, gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", secretValue), new(string))
			return err
		}},
		{"UPDATE counted SET v = ? WHERE k = ? IF v = ?", "UPDATE counted SET v = ? WHERE k = ? IF v = ? (cas at QUORUM, attempts 1, ok, node ", func() error {
			_, _, err := db.CAS(ctx, Bind("UPDATE counted SET v = ? WHERE k = ? IF v = ?", secretValue, secretValue, "other"))
			return err
		}},
		{insert.text, "a batch of 2 that begins with " + insert.text + " (batch at QUORUM, attempts 1, ok, node ", func() error {
			return db.WriteAll(ctx, []Statement{insert, insert})
		}},
	} {
		if err := tt.ask(); err != nil {
			t.Fatal(err)
		}
		trace := <-got
		if trace.Statement != tt.text || !strings.HasPrefix(trace.Host, db.conf.Hosts[0]) || trace.Duration <= 0 || time.Since(trace.Started).Abs() > time.Minute || len(trace.Events) < 2 {
			t.Errorf("%+v", trace)
		}
		for _, event := range trace.Events {
			if event.Activity == "" || event.Source == "" || event.Elapsed < 0 || event.Elapsed > time.Minute || time.Since(event.At).Abs() > time.Minute || strings.Contains(event.Activity, secretValue) {
				t.Errorf("%+v", event)
			}
		}
		cqltest.WaitFor(t, "the line of the request and its trace", func() bool {
			return strings.Contains(said(), tt.line) && strings.Contains(said(), ", trace "+trace.ID+")")
		})
	}
	if strings.Contains(said(), secretValue) {
		t.Errorf("a value was told:\n%s", said())
	}
}

// TestSlowTraced: what was slow is traced the next time.
func TestSlowTraced(t *testing.T) {
	got := make(chan ServerTrace, 100)
	conf := testConfig(t)
	conf.SlowQuery = 100 * time.Microsecond
	conf.Trace = Tracing{AfterSlow: 1, To: func(_ context.Context, trace ServerTrace) { got <- trace }}
	db, m := countedDB(t, conf)
	for range 4 {
		if _, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", "a"), new(string)); err != nil {
			t.Fatal(err)
		}
	}
	if trace := <-got; len(trace.Events) == 0 {
		t.Errorf("%+v", trace)
	}
	expect(t, m, map[string]float64{"cql_client_server_traces_total{result=fetched}": 1})
	if len(got)+len(db.traces.queue) > 0 {
		t.Error("it is traced again")
	}
}

// testTracedRole: a role with no right but those on the keyspace reads what servers
// have traced of it.
func testTracedRole(t *testing.T, own *cqltest.Own, hosts []string) {
	conf := configOn(own, hosts)
	admin := openDB(t, conf)
	change(t, admin, countedTable)
	for _, statement := range []string{
		"CREATE ROLE IF NOT EXISTS traced WITH PASSWORD = 'p' AND LOGIN = true",
		"GRANT SELECT ON KEYSPACE " + conf.Keyspace + " TO traced",
	} {
		if err := admin.Session.Query(statement).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan ServerTrace, 100)
	conf.Username, conf.Password, conf.CreateKeyspace = "traced", "p", false
	conf.Metrics = NewMetrics()
	conf.Trace = Tracing{Ratio: 1, To: func(_ context.Context, trace ServerTrace) { got <- trace }}
	db := openDB(t, conf)
	if _, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT v FROM counted WHERE k = ?", "a"), new(string)); err != nil {
		t.Fatal(err)
	}
	cqltest.WaitFor(t, "the trace", func() bool {
		return len(got) == 1 || scraped(t, conf.Metrics)["cql_client_server_traces_total{result=failed}"] > 0
	})
	if len(got) == 0 {
		t.Error("it may not read what was traced")
	}
}
