package tracing

import (
	"context"
	"encoding/pem"
	"errors"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	octrace "go.opencensus.io/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// receiver is a collector that keeps the spans that it gets.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	address string
	// hang lets each request wait until the test ends.
	hang chan struct{}

	mu      sync.Mutex
	got     []*spans.ResourceSpans
	headers metadata.MD
}

func receive(t *testing.T, hang bool) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: listener.Addr().String()}
	if hang {
		r.hang = make(chan struct{})
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		if hang {
			close(r.hang)
		}
		server.Stop()
		<-done
	})
	return r
}

func (r *receiver) Export(ctx context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	if r.hang != nil {
		<-r.hang
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, in.GetResourceSpans()...)
	r.headers, _ = metadata.FromIncomingContext(ctx)
	return &collector.ExportTraceServiceResponse{}, nil
}

// byName returns the spans that arrived.
func (r *receiver) byName() map[string]*spans.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]*spans.Span)
	for _, rs := range r.got {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				out[s.GetName()] = s
			}
		}
	}
	return out
}

func started(t *testing.T, conf Config) *Tracer {
	t.Helper()
	before := octrace.DefaultTracer
	tracer, err := Start(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { octrace.DefaultTracer = before })
	return tracer
}

// TestOneTrace: spans of OpenCensus, the context of a trace that goes through a database, and
// what the database notes are in one trace.
func TestOneTrace(t *testing.T) {
	r := receive(t, false)
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("# for the collector\n\nAuthorization: Bearer x:y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tracer := started(t, Config{Endpoint: r.address, Insecure: true, HeadersFile: headers, SampleRatio: 1, Resource: map[string]string{"service.name": "peer"}})
	ctx, parent := octrace.StartSpan(t.Context(), "consensus/LogPin")
	_, child := octrace.StartSpan(ctx, "state/scylla/CAS")
	child.End()
	parent.End()
	remote, act := octrace.StartSpanWithRemoteParent(t.Context(), "feed/act", parent.SpanContext())
	act.End()
	began := time.Unix(1000, 0)
	AddServerTrace(remote, scylla.ServerTrace{ID: "1", Statement: "SELECT x", Host: "10.0.0.1", Started: began, Duration: time.Second,
		Events: []scylla.TraceEvent{{Activity: "Parsing SELECT x", Source: "10.0.0.1", At: began, Elapsed: time.Millisecond}}})
	AddServerTrace(t.Context(), scylla.ServerTrace{Statement: "belongs to no span"})
	if !Sampled(remote) || Sampled(t.Context()) {
		t.Errorf("sampled: a span %t, want true; none %t, want false", Sampled(remote), Sampled(t.Context()))
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	got := r.byName()
	for name, of := range map[string]string{"state/scylla/CAS": "consensus/LogPin", "feed/act": "consensus/LogPin", "cql/server": "feed/act"} {
		if got[name] == nil || got[of] == nil || string(got[name].GetTraceId()) != string(got[of].GetTraceId()) || string(got[name].GetParentSpanId()) != string(got[of].GetSpanId()) {
			t.Errorf("%s is %v, want it below %v", name, got[name], got[of])
		}
	}
	if len(got) != 4 {
		t.Errorf("%d spans", len(got))
	}
	if s := got["cql/server"]; s != nil && (len(s.GetEvents()) != 1 || s.GetEvents()[0].GetName() != "Parsing SELECT x" || s.GetEvents()[0].GetTimeUnixNano() != uint64(began.UnixNano()) || s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano() != 1e9) {
		t.Errorf("the trace of the database is %v", s)
	}
	if got := r.headers.Get("authorization"); !slices.Equal(got, []string{"Bearer x:y"}) {
		t.Errorf("the headers are %v", r.headers)
	}
	attributes := r.got[0].GetResource().GetAttributes()
	if len(attributes) != 1 || attributes[0].GetKey() != "service.name" || attributes[0].GetValue().GetStringValue() != "peer" {
		t.Errorf("the resource is %v", attributes)
	}
}

// TestSampling: what is part of a trace is sampled as that, and all else by the ratio.
func TestSampling(t *testing.T) {
	r := receive(t, false)
	tracer := started(t, Config{Endpoint: r.address, Insecure: true, SampleRatio: 0})
	_, span := octrace.StartSpan(t.Context(), "new")
	span.End()
	parent := octrace.SpanContext{TraceID: octrace.TraceID{1}, SpanID: octrace.SpanID{2}, TraceOptions: 1}
	_, span = octrace.StartSpanWithRemoteParent(t.Context(), "part", parent)
	span.End()
	parent.TraceOptions = 0
	_, span = octrace.StartSpanWithRemoteParent(t.Context(), "part of none", parent)
	span.End()
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.byName()
	if len(got) != 1 || got["part"] == nil || got["part"].GetTraceId()[0] != 1 {
		t.Errorf("the spans are %v", got)
	}
}

// TestSamplersOfLibraries: a span with a sampler of its own is asked for, and its children go
// with it. That is no error.
func TestSamplersOfLibraries(t *testing.T) {
	r := receive(t, false)
	tracer := started(t, Config{Endpoint: r.address, Insecure: true, SampleRatio: 1, Failed: func(err error) { t.Errorf("told: %v", err) }})
	for name, sampler := range map[string]octrace.Sampler{"always": octrace.AlwaysSample(), "never": octrace.NeverSample()} {
		ctx, span := octrace.StartSpan(t.Context(), name, octrace.WithSampler(sampler))
		_, child := octrace.StartSpan(ctx, name+"'s child")
		child.End()
		span.End()
	}
	ctx, parent := octrace.StartSpan(t.Context(), "parent")
	_, span := octrace.StartSpan(ctx, "never, of a parent", octrace.WithSampler(octrace.NeverSample()))
	span.End()
	parent.End()
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(r.byName()))
	if want := []string{"always", "always's child", "never, of a parent", "parent"}; !slices.Equal(got, want) {
		t.Errorf("the spans are %q, want %q", got, want)
	}
}

// TestCollectorHangsOrIsGone: spans are dropped, and nobody waits but the end, which waits no
// longer than it is let.
func TestCollectorHangsOrIsGone(t *testing.T) {
	for name, address := range map[string]string{"hangs": receive(t, true).address, "gone": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 100)
			tracer := started(t, Config{Endpoint: address, Insecure: true, SampleRatio: 1, Failed: func(err error) { failed <- err }})
			made := make(chan struct{})
			go func() {
				defer close(made)
				for range 20 * maxQueue {
					_, span := octrace.StartSpan(t.Context(), "x")
					span.End()
				}
			}()
			select {
			case <-made:
			case <-time.After(time.Minute): // it waited for the collector
				t.Fatal("spans wait for the collector")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := tracer.Shutdown(ctx); err != nil {
				t.Errorf("the end: %v", err)
			}
			if len(failed) > 1 {
				t.Errorf("told %d times of one failure", len(failed))
			}
		})
	}
}

// TestTLS: without a certificate that is accepted nothing is sent.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	good := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if config, err := tlsConfig(good); err != nil || config.RootCAs == nil || config.InsecureSkipVerify {
		t.Errorf("%+v, %v", config, err)
	}
	for path, want := range map[string]string{
		write("empty.pem", "x"):      "has no certificate in PEM format",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if _, err := Start(t.Context(), Config{Endpoint: "127.0.0.1:1", CAFile: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

func TestHeadersRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "headers")
	for _, text := range []string{"geheim", ": geheim", "na me: geheim", "x: geh\x01eim", "grpc-x: geheim", "x-bin: geheim", "\n\nä: geheim"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Config{Endpoint: "127.0.0.1:1", HeadersFile: path})
		if err == nil || !strings.Contains(err.Error(), "is not a header") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	path := filepath.Join(f.TempDir(), "headers")
	f.Add("authorization: Bearer x\n# c\n")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		headers, err := readHeaders(path)
		if err != nil {
			return
		}
		for name, value := range headers {
			if !validHeader(name, value) {
				t.Errorf("%q gives %q: %q", text, name, value)
			}
		}
	})
}

// TestFailuresAreToldNowAndThen: they come with each batch.
func TestFailuresAreToldNowAndThen(t *testing.T) {
	var said []string
	f := &failures{say: func(err error) { said = append(said, err.Error()) }}
	for range 3 {
		f.Handle(errors.New("refused"))
	}
	f.told = f.told.Add(-sayAgain)
	f.Handle(errors.New("still refused"))
	if want := []string{"refused", "still refused (and 2 more since the last time)"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	(&failures{}).Handle(errors.New("nobody listens"))
}

// BenchmarkSpan is what a span costs: without tracing, in a request that is not sampled, and
// in one that is, whose collector is gone.
func BenchmarkSpan(b *testing.B) {
	span := func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			_, span := octrace.StartSpan(b.Context(), "state/scylla/Get")
			span.End()
		}
	}
	b.Run("off", span)
	before := octrace.DefaultTracer
	defer func() { octrace.DefaultTracer = before }()
	for name, ratio := range map[string]float64{"not sampled": 0, "sampled": 1} {
		tracer, err := Start(b.Context(), Config{Endpoint: "127.0.0.1:1", Insecure: true, SampleRatio: ratio})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, span)
		ctx, cancel := context.WithTimeout(b.Context(), time.Millisecond)
		_ = tracer.Shutdown(ctx) // what waits is of no use
		cancel()
		octrace.DefaultTracer = before
	}
}
