package scylla

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
)

// Tracing says which attempts of requests the servers trace, and who takes what they
// have noted. The zero value traces nothing. To be traced costs a server several
// writes, and an attempt is slower then.
type Tracing struct {
	// Of reports whether To has a use for traces of the request whose context it is: others
	// are not traced. It is called for each attempt. Nil is all.
	Of func(ctx context.Context) bool
	// Ratio is the share of the attempts of those that are traced, from 0 to 1.
	Ratio float64
	// AfterSlow is how many attempts of a statement are traced after a request with it
	// took longer than Config.SlowQuery: the one that was slow cannot be any more. So
	// many are traced of a statement in a minute at the most.
	AfterSlow int
	// To takes the traces, one at a time and seconds after their attempts, not in their
	// order, with the values of the context of the request, whose end it does not have.
	// Few can wait for it to return; those beyond are dropped. Nil traces nothing.
	To func(ctx context.Context, trace ServerTrace)
}

// ServerTrace is what servers have noted of one attempt. It has no value that was sent:
// the column of system_traces.sessions that has them is not read.
type ServerTrace struct {
	// ID is that of system_traces.sessions.
	ID string
	// Statement is the text without values, of a batch that of its first one.
	Statement string
	// Host is the address of the node that was asked.
	Host string
	// Started is the time by the clock of that node, and Duration how long it worked.
	Started  time.Time
	Duration time.Duration
	// Events are in the order in which the node that was asked has got to know them.
	Events []TraceEvent
}

// TraceEvent is one step of a node.
type TraceEvent struct {
	// Activity is what the node did, in its words, up to where they tell of keys and
	// values.
	Activity string
	// Source is the address of the node.
	Source string
	// At is the time by the clock of the node.
	At time.Time
	// Elapsed is how long that node had worked on the request by then.
	Elapsed time.Duration
}

const (
	// traceQueue is how many traces may wait to be fetched, and traceFetchers how many are
	// fetched at the same time: one that its server never writes takes seconds.
	traceQueue    = 64
	traceFetchers = 8
	// traceEvents bounds the events of one trace.
	traceEvents = 1000
	// traceTries is how often a server is asked whether it has written a trace, which
	// it does after its answer: ScyllaDB every two seconds. The pauses between grow from
	// tracePause to twice as much each time.
	traceTries = 7
	tracePause = 100 * time.Millisecond
	// slowAgain is how long a statement is not traced again after slow ones of it were.
	slowAgain = time.Minute
	// slowStatements bounds the statements that are traced in that time.
	slowStatements = 100
)

// What became of a trace, as a label.
const (
	traceFetched = "fetched"
	traceMissing = "missing"
	traceDropped = "dropped"
	traceFailed  = "failed"
)

// traces decides what is traced, and fetches it. A nil one traces nothing. It is safe
// for concurrent use.
type traces struct {
	conf    Tracing
	metrics *Metrics
	fetch   func(context.Context, traceJob) (ServerTrace, bool, error)
	queue   chan traceJob
	// off is set when servers refuse to show traces, which every role may read by
	// default.
	off  atomic.Bool
	stop context.CancelFunc
	done sync.WaitGroup
	// handing has a value while conf.To runs.
	handing chan struct{}

	// due is how many attempts are to be traced of statements that were slow, so that
	// nobody waits for the lock while there are none.
	due  atomic.Int32
	mu   sync.Mutex
	slow map[statementKey]*slowOnes
}

// slowOnes is how many attempts of a statement are to be traced, until when.
type slowOnes struct {
	left  int
	until time.Time
}

// traceJob is a trace that a server has.
type traceJob struct {
	ctx  context.Context
	id   gocql.UUID
	text string
	host string
}

// newTraces returns nil if nothing is to be traced.
func newTraces(conf Tracing, metrics *Metrics, fetch func(context.Context, traceJob) (ServerTrace, bool, error)) *traces {
	if conf.To == nil || conf.Ratio <= 0 && conf.AfterSlow <= 0 {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &traces{conf: conf, metrics: metrics, fetch: fetch, queue: make(chan traceJob, traceQueue), stop: stop, handing: make(chan struct{}, 1), slow: make(map[statementKey]*slowOnes)}
	for range traceFetchers {
		t.done.Go(func() { t.work(ctx) })
	}
	return t
}

// close ends the fetching.
func (t *traces) close() {
	if t != nil {
		t.stop()
		t.done.Wait()
	}
}

// wants reports whether the next attempt of a request is to be traced.
func (t *traces) wants(c *call) bool {
	switch {
	case t.off.Load() || c.text == selectSession || c.text == selectEvents:
		return false
	case t.conf.Ratio > 0 && rand.Float64() < t.conf.Ratio:
		return true
	case t.due.Load() == 0:
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(time.Now())
	ones := t.slow[c.key()]
	if ones == nil || ones.left == 0 {
		return false
	}
	ones.left--
	t.due.Add(-1)
	return true
}

// wasSlow has the next attempts of a statement traced.
func (t *traces) wasSlow(c *call) {
	if t == nil || t.conf.AfterSlow <= 0 || t.off.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.forget(now)
	if t.slow[c.key()] != nil || len(t.slow) == slowStatements {
		return
	}
	t.slow[c.key()] = &slowOnes{t.conf.AfterSlow, now.Add(slowAgain)}
	t.due.Add(int32(t.conf.AfterSlow)) //nolint:gosec // a small number of a configuration
}

// forget drops what was slow long ago. The caller holds the lock.
func (t *traces) forget(now time.Time) {
	for key, ones := range t.slow {
		if !now.Before(ones.until) {
			t.due.Add(-int32(ones.left)) //nolint:gosec // it was added
			delete(t.slow, key)
		}
	}
}

// begin has the next attempt of a request traced, if that is wanted: tracerOf its
// context is the tracer then.
func (t *traces) begin(ctx context.Context, c *call) (context.Context, *tracer) {
	if t == nil || t.conf.Of != nil && !t.conf.Of(ctx) || !t.wants(c) {
		return ctx, nil
	}
	one := new(tracer)
	return context.WithValue(ctx, tracerKey{}, one), one
}

// take has the trace of an attempt fetched, if there is one.
func (t *traces) take(ctx context.Context, c *call, host string, tr *tracer) {
	id, there := tr.last()
	if !there {
		return
	}
	c.trace = id.String()
	select {
	case t.queue <- traceJob{context.WithoutCancel(ctx), id, c.text, host}:
	default:
		t.metrics.traced(traceDropped)
	}
}

// work fetches one trace after the other. There are traceFetchers of it.
func (t *traces) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-t.queue:
			t.handOn(ctx, job)
		}
	}
}

// handOn waits until a server has written a trace, and gives it to the one who takes it.
func (t *traces) handOn(ctx context.Context, job traceJob) {
	pause := tracePause
	for range traceTries {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause *= 2
		trace, written, err := t.fetch(ctx, job)
		switch {
		case ctx.Err() != nil:
			return
		case Permanent(err):
			t.metrics.traced(traceFailed)
			if !t.off.Swap(true) {
				logger.Warnf("what servers trace cannot be read, and nothing is traced until the next start: %s", err)
			}
			return
		case err != nil:
			t.metrics.traced(traceFailed)
			logger.Debugf("reading the trace %s: %s", job.id, err)
			return
		case written:
			t.metrics.traced(traceFetched)
			t.handing <- struct{}{}
			t.conf.To(job.ctx, trace)
			<-t.handing
			return
		}
	}
	t.metrics.traced(traceMissing)
}

const (
	selectSession = "SELECT coordinator, started_at, duration FROM system_traces.sessions WHERE session_id = ?"
	selectEvents  = "SELECT event_id, activity, source, source_elapsed FROM system_traces.events WHERE session_id = ? LIMIT ?"
)

// fetchTrace reads a trace, and reports whether it was written to its end: nodes write
// the duration last, of what they have done themselves. The events of other nodes may
// come later still.
func (db *DB) fetchTrace(ctx context.Context, job traceJob) (trace ServerTrace, written bool, err error) {
	var coordinator string
	var started time.Time
	var micros *int
	there, err := db.Read(ctx, gocql.One, Bind(selectSession, job.id), &coordinator, &started, &micros)
	if err != nil || !there || micros == nil {
		return trace, false, err
	}
	trace = ServerTrace{
		ID: job.id.String(), Statement: withoutValues(job.text), Host: job.host,
		Started: started, Duration: time.Duration(*micros) * time.Microsecond,
	}
	if trace.Host == "" {
		trace.Host = coordinator
	}
	rows := db.Rows(ctx, gocql.One, traceEvents, Bind(selectEvents, job.id, traceEvents))
	var id gocql.UUID
	var activity, source string
	var elapsed int
	for rows.Next(&id, &activity, &source, &elapsed) {
		trace.Events = append(trace.Events, TraceEvent{withoutData(activity), source, id.Time(), time.Duration(elapsed) * time.Microsecond})
	}
	return trace, true, rows.Close()
}

// withoutData is what a node says it did, up to where it may speak of keys and values:
// Cassandra shows the row of which a condition does not hold, and the key of which
// replicas differ; ScyllaDB the keys that it reads.
func withoutData(activity string) string {
	at := strings.IndexAny(activity, `={'"`)
	if key := strings.Index(activity, "DecoratedKey"); key >= 0 && (at < 0 || key < at) {
		at = key
	}
	if at < 0 {
		return activity
	}
	return activity[:at] + "…"
}

// tracer takes the id of the trace of one attempt. The driver may first have asked the
// server to prepare the statement, which has a trace of its own: the last one counts.
type tracer struct {
	mu sync.Mutex
	id []byte
}

var _ gocql.Tracer = (*tracer)(nil)

// Trace is called by the driver with an id that it uses further.
func (t *tracer) Trace(id []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id = append([]byte(nil), id...)
}

func (t *tracer) last() (gocql.UUID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, err := gocql.UUIDFromBytes(t.id)
	return id, err == nil
}

type tracerKey struct{}

// tracerOf returns the tracer of the attempt whose context is ctx, nil if it has none.
func (t *traces) tracerOf(ctx context.Context) gocql.Tracer {
	if t == nil {
		return nil
	}
	one, ok := ctx.Value(tracerKey{}).(*tracer)
	if !ok {
		return nil
	}
	return one
}
