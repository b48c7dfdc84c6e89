package scylla

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// scraped are the values of the metrics of a scrape, by name and labels: of a
// histogram its count.
func scraped(tb testing.TB, m *Metrics) map[string]float64 {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		tb.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	out := make(map[string]float64)
	for _, family := range families {
		if help := family.GetHelp(); !strings.HasSuffix(help, ".") {
			tb.Errorf("the help of %s is no sentence: %q", family.GetName(), help)
		}
		for _, metric := range family.GetMetric() {
			out[nameOf(family.GetName(), metric.GetLabel())] = valueOf(metric)
		}
	}
	return out
}

func nameOf(name string, labels []*dto.LabelPair) string {
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = l.GetName() + "=" + l.GetValue()
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}

func valueOf(metric *dto.Metric) float64 {
	switch {
	case metric.Counter != nil:
		return metric.GetCounter().GetValue()
	case metric.Histogram != nil:
		return float64(metric.GetHistogram().GetSampleCount())
	}
	return metric.GetGauge().GetValue()
}

// expect compares some values of a scrape. One that is missing is -1.
func expect(tb testing.TB, m *Metrics, want map[string]float64) {
	tb.Helper()
	got := scraped(tb, m)
	for name, value := range want {
		if have, there := got[name]; !there {
			tb.Errorf("there is no %s", name)
		} else if have != value {
			tb.Errorf("%s is %v, want %v", name, have, value)
		}
	}
	if tb.Failed() {
		for name, value := range got {
			if value != 0 {
				tb.Logf("%s %v", name, value)
			}
		}
	}
}

func TestMetricsBeginAtZero(t *testing.T) {
	m := NewMetrics()
	m.know([]string{"SELECT rev FROM pins WHERE cid = ?", "UPDATE pins SET rev = ? WHERE cid = ? IF rev = ?"})
	got := scraped(t, m)
	for _, name := range []string{
		"cql_client_requests_total{outcome=ok,statement=select pins}",
		"cql_client_requests_total{outcome=unknown,statement=update pins if}",
		"cql_client_request_duration_seconds{statement=select pins}",
		"cql_client_attempts_total{attempt=1,code=none,consistency=QUORUM,kind=cas,result=ok}",
		"cql_client_cas_total{result=unknown,statement=update pins if}",
		"cql_client_retries_total{reason=timeout}",
		"cql_client_given_up_total{reason=time_over}",
		"cql_client_in_flight{}", "cql_client_cut_connections_total{}", "cql_client_overloaded_total{}",
		"cql_client_hosts{state=up}", "cql_client_hosts{state=down}", "cql_client_hosts{state=suspect}",
		"cql_client_serving{}", "cql_client_clock_skew_seconds{}",
		"cql_client_server_traces_total{result=dropped}",
	} {
		if _, there := got[name]; !there {
			t.Errorf("there is no %s", name)
		}
	}
	for name, value := range got {
		if value != 0 {
			t.Errorf("%s is %v", name, value)
		}
		if strings.HasPrefix(name, "cql_client_cas_total") && !strings.Contains(name, "update pins if") {
			t.Errorf("%s is of no conditional update", name)
		}
	}
}

// A nil Metrics counts nothing.
func TestNoMetrics(t *testing.T) {
	var m *Metrics
	m.know([]string{"SELECT a FROM b"})
	m.Describe(nil)
	m.Collect(nil)
	db := &DB{limit: time.Second, health: newHealth(nil, nil, nobody)}
	err := db.repeat(t.Context(), about{}, func(context.Context, time.Duration) error { return gocql.ErrConnectionClosed })
	if !errors.Is(err, gocql.ErrConnectionClosed) {
		t.Error(err)
	}
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want outcome
		code string
	}{
		{nil, worked, noCode},
		{gocql.ErrNotFound, worked, noCode},
		{gocql.ErrTimeoutNoResponse, timeout, noCode},
		{context.DeadlineExceeded, timeout, noCode},
		{fmt.Errorf("outer: %w", context.Canceled), canceled, noCode},
		{answered{gocql.ErrCodeReadTimeout, ""}, timeout, "0x1200"},
		{answered{gocql.ErrCodeWriteTimeout, ""}, timeout, "0x1100"},
		{answered{gocql.ErrCodeUnavailable, ""}, unavailable, "0x1000"},
		{answered{gocql.ErrCodeBootstrapping, ""}, unavailable, "0x1002"},
		{answered{gocql.ErrCodeCredentials, rolesUnreadLogin}, unavailable, "0x0100"},
		{answered{gocql.ErrCodeUnauthorized, rolesUnreadRight}, unavailable, "0x2100"},
		{answered{gocql.ErrCodeOverloaded, ""}, overloaded, "0x1001"},
		{&gocql.RequestErrRateLimitReached{}, overloaded, "0x0000"},
		{answered{gocql.ErrCodeUnauthorized, "no"}, refused, "0x2100"},
		{answered{gocql.ErrCodeSyntax, ""}, refused, "0x2000"},
		{answered{gocql.ErrCodeInvalid, ""}, refused, "0x2200"},
		{answered{gocql.ErrCodeAlreadyExists, ""}, refused, "0x2400"},
		{&PermanentError{Text: "x"}, refused, noCode},
		{gocql.ErrNoConnections, notSent, noCode},
		{gocql.ErrNoStreams, notSent, noCode},
		{answered{gocql.ErrCodeServer, ""}, unknown, "0x0000"},
		{answered{gocql.ErrCodeWriteFailure, ""}, unknown, "0x1500"},
		{answered{gocql.ErrCodeCASWriteUnknown, ""}, unknown, "0x1700"},
		{gocql.ErrConnectionClosed, unknown, noCode},
		{io.EOF, unknown, noCode},
		{os.ErrDeadlineExceeded, timeout, noCode}, // of a connection
	} {
		if got := outcomeOf(tt.err); got != tt.want {
			t.Errorf("%v is %s, want %s", tt.err, got, tt.want)
		}
		if got := codeOf(tt.err); got != tt.code {
			t.Errorf("%v has the code %s, want %s", tt.err, got, tt.code)
		}
	}
}

// TestRequestsAreCounted shows what each end of a request adds to.
func TestRequestsAreCounted(t *testing.T) {
	const text = "SELECT rev FROM pins WHERE cid = ?"
	hang := func(limit time.Duration) error {
		time.Sleep(limit) // simulated time
		return gocql.ErrTimeoutNoResponse
	}
	refuse := func(err error) func(time.Duration) error { return func(time.Duration) error { return err } }
	attempt := func(n, result, code string) string {
		return "cql_client_attempts_total{attempt=" + n + ",code=" + code + ",consistency=QUORUM,kind=read,result=" + result + "}"
	}
	const retries, givenUp = "cql_client_retries_total{reason=", "cql_client_given_up_total{reason="
	for _, tt := range []struct {
		name     string
		attempts []func(time.Duration) error // the last is repeated
		outcome  string
		want     map[string]float64
	}{
		{"works", []func(time.Duration) error{refuse(nil)}, "ok", map[string]float64{attempt("1", "ok", noCode): 1}},
		{"no row", []func(time.Duration) error{refuse(gocql.ErrNotFound)}, "ok", map[string]float64{attempt("1", "ok", noCode): 1}},
		{"hangs, then works", []func(time.Duration) error{hang, refuse(nil)}, "ok", map[string]float64{
			attempt("1", "timeout", noCode): 1, attempt("2", "ok", noCode): 1, retries + "timeout}": 1,
		}},
		{"hangs", []func(time.Duration) error{hang}, "timeout", map[string]float64{
			attempt("1", "timeout", noCode): 1, attempt("2", "timeout", noCode): 1, attempt("3+", "timeout", noCode): 2, retries + "timeout}": 3, givenUp + "time_over}": 1,
		}},
		{"refused again and again", []func(time.Duration) error{refuse(answered{gocql.ErrCodeOverloaded, "no"})}, "overloaded", map[string]float64{
			attempt("1", "overloaded", "0x1001"): 1, attempt("3+", "overloaded", "0x1001"): 1, retries + "overloaded}": 2, givenUp + "refusals}": 1, "cql_client_overloaded_total{}": 3,
		}},
		{"too few nodes", []func(time.Duration) error{refuse(answered{gocql.ErrCodeUnavailable, "no"}), refuse(nil)}, "ok", map[string]float64{
			attempt("1", "unavailable", "0x1000"): 1, attempt("2", "ok", noCode): 1, retries + "unavailable}": 1,
		}},
		{"rate limit", []func(time.Duration) error{refuse(&gocql.RequestErrRateLimitReached{})}, "overloaded", map[string]float64{
			givenUp + "rate_limit}": 1, "cql_client_overloaded_total{}": 1,
		}},
		{"a mistake", []func(time.Duration) error{refuse(answered{gocql.ErrCodeInvalid, "no"})}, "refused", map[string]float64{
			attempt("1", "refused", "0x2200"): 1, givenUp + "permanent}": 1,
		}},
		{"nobody is connected", []func(time.Duration) error{refuse(gocql.ErrNoConnections)}, "not_sent", map[string]float64{
			attempt("1", "not_sent", noCode): 1, givenUp + "no_node}": 1,
		}},
		{"broken", []func(time.Duration) error{refuse(gocql.ErrConnectionClosed)}, "unknown", map[string]float64{retries + "unknown}": 2, givenUp + "refusals}": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMetrics()
				db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil, nobody), conf: Config{Metrics: m}}
				n := 0
				_ = db.repeat(t.Context(), about{read, gocql.Quorum, text, 1}, func(_ context.Context, limit time.Duration) error {
					if n == 0 {
						expect(t, m, map[string]float64{"cql_client_in_flight{}": 1})
					}
					n++
					return tt.attempts[min(n, len(tt.attempts))-1](limit)
				})
				tt.want["cql_client_requests_total{outcome="+tt.outcome+",statement=select pins}"] = 1
				tt.want["cql_client_request_duration_seconds{statement=select pins}"] = 1
				tt.want["cql_client_in_flight{}"] = 0
				expect(t, m, tt.want)
				for name, value := range scraped(t, m) {
					if _, named := tt.want[name]; !named && value != 0 && !strings.HasPrefix(name, "cql_client_attempts_total") {
						t.Errorf("%s is %v too", name, value)
					}
				}
			})
		})
	}
}

// The caller of a request leaves.
func TestCanceledRequestIsCounted(t *testing.T) {
	m := NewMetrics()
	db := &DB{limit: time.Second, health: newHealth(nil, nil, nobody), conf: Config{Metrics: m}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = db.repeat(ctx, about{write, gocql.Quorum, "DELETE FROM pins WHERE cid = ?", 1}, func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
	expect(t, m, map[string]float64{
		"cql_client_requests_total{outcome=canceled,statement=delete pins}": 1,
		"cql_client_request_duration_seconds{statement=delete pins}":        0,
		"cql_client_given_up_total{reason=canceled}":                        1,
		"cql_client_in_flight{}":                                            0,
	})
}

func TestConditionalUpdatesAreCounted(t *testing.T) {
	for _, tt := range []struct {
		err     error
		applied bool
		want    casResult
	}{
		{nil, true, casApplied},
		{nil, false, casConflict},
		{gocql.ErrTimeoutNoResponse, false, casOpen},
		{context.Canceled, false, casOpen},
		{answered{gocql.ErrCodeWriteTimeout, ""}, false, casOpen},
		{answered{gocql.ErrCodeOverloaded, ""}, false, casOpen},
		{gocql.ErrNoConnections, false, casFailed},
		{answered{gocql.ErrCodeInvalid, ""}, false, casFailed},
		{&gocql.RequestErrUnavailable{Consistency: gocql.Serial}, false, casFailed},
		{&gocql.RequestErrUnavailable{Consistency: gocql.Quorum}, false, casOpen},
	} {
		if got := casResultOf(tt.applied, tt.err); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, tt := range []struct {
		text  string
		batch bool
		want  string
	}{
		{"SELECT rev, prev, pin FROM pins WHERE cid = ?", false, "select pins"},
		{"select token(cid), cid FROM ks.Pins WHERE token(cid) > ?", false, "select pins"},
		{"SELECT data_center, rpc_address FROM system.peers", false, "select system.peers"},
		{"SELECT column_name FROM system_schema.columns WHERE keyspace_name = ?", false, "select system_schema.columns"},
		{"UPDATE pins SET rev = ? WHERE cid = ? IF rev = ? AND pin != ?", false, "update pins if"},
		{"UPDATE pins USING TTL ? SET rev = ? WHERE cid = ?", false, "update pins"},
		{"INSERT INTO freed (tenant, created, rnd) VALUES (?, ?, ?) IF NOT EXISTS", false, "insert freed if"},
		{"INSERT INTO changes(feed) VALUES (?)", false, "insert changes"},
		{"INSERT INTO changes (feed) VALUES (?)", true, "batch changes"},
		{"DELETE status FROM claims USING TIMESTAMP ? WHERE cid = ?", false, "delete claims"},
		{"", true, "other"},
		{"GRANT SELECT ON t TO somebody", false, "other"},
		{"SELECT 1", false, "other"},
		{"UPDATE", false, "other"},
		{"SELECT a FROM 'secret'", false, "other"},
		{"UPDATE \"Secret\" SET a = 1", false, "other"},
	} {
		if got, _ := labelOf(statementKey{tt.text, tt.batch}); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.text, got, tt.want)
		}
	}
}

// Texts and labels without end take no room without end.
func TestLabelsAreBounded(t *testing.T) {
	m := NewMetrics()
	for n := range 2 * maxTexts {
		text := fmt.Sprintf("SELECT a FROM table%d", n)
		c := call{about: about{text: text}}
		m.begun(&c)
		m.ended(&c, time.Second, nil)
	}
	if n := len(*m.statements.known.Load()); n > maxTexts {
		t.Errorf("%d texts are kept", n)
	}
	labels, requests := make(map[string]bool), 0.0
	for name, value := range scraped(t, m) {
		if strings.HasPrefix(name, "cql_client_requests_total{outcome=ok") {
			labels[name] = true
			requests += value
		}
	}
	if len(labels) > maxLabels+1 || requests != 2*maxTexts {
		t.Errorf("%d labels, %v requests", len(labels), requests)
	}
}

// FuzzLabelOf: nothing of a statement comes into a label but its verb and a name.
func FuzzLabelOf(f *testing.F) {
	f.Add("SELECT a FROM b WHERE c = 'secret'", false)
	f.Add("UPDATE b SET a = 0x00 IF c = 1", true)
	f.Add("INSERT INTO b(a) VALUES ('IF')", false)
	f.Fuzz(func(t *testing.T, text string, batch bool) {
		label, _ := labelOf(statementKey{text, batch})
		words := strings.Fields(label)
		if label == otherStatement {
			return
		}
		if len(words) < 2 || len(words) > 3 || !slices.Contains([]string{"select", "update", "insert", "delete", "batch"}, words[0]) || len(words) == 3 && words[2] != "if" {
			t.Errorf("%q of %q", label, text)
		}
		if strings.Trim(words[1], "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			t.Errorf("%q of %q", label, text)
		}
	})
}

// BenchmarkMetrics is what counting a request of one attempt costs, in time of this
// process: others may have the machine meanwhile.
func BenchmarkMetrics(b *testing.B) {
	m := NewMetrics()
	what := about{read, gocql.Quorum, "SELECT rev, prev, pin FROM pins WHERE cid = ?", 1}
	count := func() {
		c := call{about: what, attempts: 1}
		m.begun(&c)
		m.attempted(&c, nil)
		m.ended(&c, time.Millisecond, nil)
	}
	count() // it is known
	b.ReportAllocs()
	begun := processTime(b)
	for b.Loop() {
		count()
	}
	b.ReportMetric(float64(processTime(b)-begun)/float64(b.N), "cpu-ns/op")
}

// processTime is how long this process has worked.
func processTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestCountingAllocatesNothing: it is on the way of every request.
func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics()
	what := about{cas, gocql.Quorum, "UPDATE pins SET rev = ? WHERE cid = ? IF rev = ?", 1}
	if n := testing.AllocsPerRun(100, func() {
		c := call{about: what, attempts: 1}
		m.begun(&c)
		m.attempted(&c, nil)
		m.ended(&c, time.Millisecond, nil)
		m.decided(&c, true, nil)
	}); n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
}
