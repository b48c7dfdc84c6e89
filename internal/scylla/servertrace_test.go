package scylla

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
)

// What was slow is traced when it comes again, so often and in so long a time.
func TestSlowStatementsAreTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traces := newTraces(Tracing{AfterSlow: 3, To: func(context.Context, ServerTrace) {}}, nil, nil)
		defer traces.close()
		slow := &call{about: about{text: "SELECT a FROM b"}}
		other := &call{about: about{text: "SELECT a FROM b", kind: batch}}
		wanted := func(c *call, most int) (n int) {
			for range most {
				if traces.wants(c) {
					n++
				}
			}
			return n
		}
		if n := wanted(slow, 10); n != 0 {
			t.Errorf("%d are traced before one was slow", n)
		}
		for range 10 {
			traces.wasSlow(slow)
		}
		if n := wanted(other, 10); n != 0 {
			t.Errorf("%d others are traced", n)
		}
		if n := wanted(slow, 10); n != 3 || traces.due.Load() != 0 {
			t.Errorf("%d are traced, %d are due", n, traces.due.Load())
		}
		traces.wasSlow(slow)
		if n := wanted(slow, 10); n != 0 {
			t.Errorf("%d more are traced in the same minute", n)
		}
		time.Sleep(slowAgain)
		traces.wasSlow(slow)
		if n := wanted(slow, 1); n != 1 {
			t.Errorf("%d are traced a minute later", n)
		}
		time.Sleep(slowAgain) // nobody asks again
		if n := wanted(slow, 10); n != 0 || traces.due.Load() != 0 {
			t.Errorf("%d are traced long after, %d are due", n, traces.due.Load())
		}
		for n := range 10 * slowStatements {
			traces.wasSlow(&call{about: about{text: fmt.Sprint(n)}})
		}
		if len(traces.slow) > slowStatements {
			t.Errorf("%d statements are kept", len(traces.slow))
		}
	})
}

// What nobody has a use for is not traced, and does not use up what is due after a slow request.
func TestOnlyWhatIsShownIsTraced(t *testing.T) {
	type shown struct{}
	of := func(ctx context.Context) bool { return ctx.Value(shown{}) != nil }
	for _, conf := range []Tracing{{Ratio: 1}, {AfterSlow: 1}} {
		conf.Of, conf.To = of, func(context.Context, ServerTrace) {}
		traces := newTraces(conf, nil, nil)
		c := &call{about: about{text: "SELECT a FROM b"}}
		traces.wasSlow(c)
		if _, tracer := traces.begin(t.Context(), c); tracer != nil {
			t.Errorf("%+v: what is not shown is traced", conf)
		}
		if _, tracer := traces.begin(context.WithValue(t.Context(), shown{}, true), c); tracer == nil {
			t.Errorf("%+v: what is shown is not traced", conf)
		}
		traces.close()
	}
}

func TestTracesAreOff(t *testing.T) {
	to := func(context.Context, ServerTrace) {}
	for _, off := range []Tracing{{}, {Ratio: 1, AfterSlow: 1}, {To: to}} {
		if traces := newTraces(off, nil, nil); traces != nil {
			t.Errorf("%+v traces", off)
		}
	}
	var none *traces
	none.wasSlow(&call{})
	if ctx, tracer := none.begin(t.Context(), &call{}); tracer != nil || none.tracerOf(ctx) != nil {
		t.Error("nothing traces something")
	}
	none.close()
}

// TestTracesAreFetched shows what becomes of a trace that servers write late, never, or
// do not show, and of those that are too many.
func TestTracesAreFetched(t *testing.T) {
	id := gocql.TimeUUID()
	for _, tt := range []struct {
		name    string
		fetch   func(try int) (bool, error)
		jobs    int
		fetched int
		want    map[string]float64
		told    string
	}{
		{"written late", func(try int) (bool, error) { return try == 3, nil }, 1, 1, map[string]float64{traceFetched: 1}, ""},
		{"never written", func(int) (bool, error) { return false, nil }, 1, 0, map[string]float64{traceMissing: 1}, ""},
		{"no answer", func(int) (bool, error) { return false, gocql.ErrTimeoutNoResponse }, 1, 0, map[string]float64{traceFailed: 1}, ""},
		{"not shown", func(int) (bool, error) { return false, &PermanentError{Text: "no right"} }, 3, 0, map[string]float64{traceFailed: 3},
			"what servers trace cannot be read, and nothing is traced until the next start: no right"},
		{"too many", func(int) (bool, error) { return true, nil }, traceFetchers + traceQueue + 10, traceFetchers + traceQueue, map[string]float64{traceFetched: traceFetchers + traceQueue, traceDropped: 10}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMetrics()
				var got []ServerTrace
				var mu sync.Mutex
				try := 0
				traces := newTraces(Tracing{Ratio: 1, To: func(ctx context.Context, trace ServerTrace) {
					if ctx.Err() != nil || ctx.Value(t) != "kept" {
						t.Error("the context is not that of the request without its end")
					}
					got = append(got, trace)
				}}, m, func(_ context.Context, job traceJob) (ServerTrace, bool, error) {
					mu.Lock()
					defer mu.Unlock()
					try++
					written, err := tt.fetch(try)
					return ServerTrace{ID: job.id.String()}, written, err
				})
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), t, "kept"))
				told := strings.Join(logged(t, func() {
					for n := range tt.jobs {
						c := &call{}
						_, tracer := traces.begin(ctx, c)
						tracer.Trace([]byte("a prepared one is"))
						tracer.Trace(id.Bytes())
						traces.take(ctx, c, "host", tracer)
						if c.trace != id.String() {
							t.Errorf("the request has the trace %q", c.trace)
						}
						if n < traceFetchers {
							synctest.Wait() // it is taken from the queue
						}
					}
					cancel()
					time.Sleep(time.Hour)
					synctest.Wait()
				}), "\n")
				if len(got) != tt.fetched || len(got) > 0 && got[0].ID != id.String() {
					t.Errorf("got %d traces", len(got))
				}
				for result, n := range tt.want {
					expect(t, m, map[string]float64{"cql_client_server_traces_total{result=" + result + "}": n})
				}
				if !strings.HasSuffix(told, tt.told) || tt.told == "" && told != "" {
					t.Errorf("told %q", told)
				}
				if wants := traces.wants(&call{}); wants == (tt.told != "") {
					t.Errorf("more is traced: %t", wants)
				}
				traces.close()
			})
		})
	}
}

// Traces that servers never write do not hold up the others, which come one at a time.
func TestTracesAreFetchedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics()
		var busy atomic.Int32
		traces := newTraces(Tracing{Ratio: 1, To: func(context.Context, ServerTrace) {
			if busy.Add(1) > 1 {
				t.Error("two come at the same time")
			}
			time.Sleep(10 * time.Millisecond)
			busy.Add(-1)
		}}, m, func(_ context.Context, job traceJob) (ServerTrace, bool, error) {
			return ServerTrace{}, job.host != "lost", nil
		})
		defer traces.close()
		take := func(host string, n int) {
			for range n {
				one := new(tracer)
				one.Trace(gocql.TimeUUID().Bytes())
				traces.take(t.Context(), &call{}, host, one)
			}
		}
		take("lost", 4)
		take("written", 10)
		time.Sleep(time.Second)
		expect(t, m, map[string]float64{"cql_client_server_traces_total{result=fetched}": 10, "cql_client_server_traces_total{result=missing}": 0})
		time.Sleep(time.Minute)
		expect(t, m, map[string]float64{"cql_client_server_traces_total{result=missing}": 4})
	})
}

// A session that closes does not wait for traces.
func TestTracesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traces := newTraces(Tracing{Ratio: 1, To: func(context.Context, ServerTrace) { t.Error("a trace after the end") }}, nil,
			func(ctx context.Context, _ traceJob) (ServerTrace, bool, error) {
				<-ctx.Done()
				return ServerTrace{}, false, ctx.Err()
			})
		tracer := new(tracer)
		tracer.Trace(gocql.TimeUUID().Bytes())
		traces.take(t.Context(), &call{}, "", tracer)
		time.Sleep(time.Second)
		synctest.Wait()
		traces.close()
	})
}

// An attempt that no server has traced has no trace.
func TestNoTrace(t *testing.T) {
	traces := newTraces(Tracing{Ratio: 1, To: func(context.Context, ServerTrace) {}}, nil,
		func(context.Context, traceJob) (ServerTrace, bool, error) {
			return ServerTrace{}, false, errors.New("asked")
		})
	defer traces.close()
	c := &call{}
	traces.take(t.Context(), c, "", new(tracer))
	if c.trace != "" || len(traces.queue) != 0 {
		t.Errorf("trace %q", c.trace)
	}
}

// What nodes say of a trace has keys and values of rows.
func TestWithoutData(t *testing.T) {
	for activity, want := range map[string]string{
		"Executing single-partition query on pins":                                                 "Executing single-partition query on pins",
		"Read 1 live rows and 0 tombstone cells":                                                   "Read 1 live rows and 0 tombstone cells",
		"Promising ballot 5ec1c630-ecd6-11f1 [SharedPool-Worker-1]":                                "Promising ballot 5ec1c630-ecd6-11f1 [SharedPool-Worker-1]",
		"CAS precondition does not match current values [ks.pins] key=secret partition_deletion=1": "CAS precondition does not match current values [ks.pins] key…",
		"Digest mismatch: Mismatch for key DecoratedKey(-75, 5ec4e7) (a vs b)":                     "Digest mismatch: Mismatch for key …",
		"Reading key {{-406, pk{0004}}} from sstable":                                              "Reading key …",
		"Parsing SELECT a FROM b WHERE c = 'secret'":                                               "Parsing SELECT a FROM b WHERE c …",
		"Mismatch for key DecoratedKey(-75, 5ec4e7), digest=1":                                     "Mismatch for key …",
		"": "",
	} {
		if got := withoutData(activity); got != want {
			t.Errorf("%q\nis   %q\nwant %q", activity, got, want)
		}
	}
}
