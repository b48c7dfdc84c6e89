package tracing

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	octrace "go.opencensus.io/trace"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/bridge/opencensus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// The bounds of what is sent. Spans that find the queue full are dropped.
const (
	maxQueue      = 4096
	maxBatch      = 512
	batchEvery    = 2 * time.Second
	exportTimeout = 10 * time.Second
	// sayAgain is the time between two lines about a collector that takes nothing.
	sayAgain = 10 * time.Minute
)

// Config says where spans are sent. Endpoint is needed.
type Config struct {
	// Endpoint is the host and the port of a collector.
	Endpoint string
	// Insecure sends spans unencrypted. Without it CAFile has the authorities that may sign
	// the certificate of the collector; empty means those of the operating system.
	Insecure bool
	CAFile   string
	// HeadersFile has headers to send along, one "name: value" in a line. It may be empty.
	HeadersFile string
	// SampleRatio is the share of new traces that are made, 0 to 1. What is part of a trace
	// does as that trace.
	SampleRatio float64
	// Resource says whose spans these are, by the names of OpenTelemetry, as
	// "service.name".
	Resource map[string]string
	// Failed takes, now and then, why spans do not arrive. It may be nil.
	Failed func(error)
}

// Tracer sends spans until it is shut down.
type Tracer struct {
	provider *sdktrace.TracerProvider
}

// Start makes all spans of OpenCensus in this process go to the collector, which need not be
// there yet. It must be called before spans are made, and once in a process.
func Start(ctx context.Context, conf Config) (*Tracer, error) {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(conf.Endpoint), otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout}),
	}
	if conf.Insecure {
		options = append(options, otlptracegrpc.WithInsecure())
	} else {
		config, err := tlsConfig(conf.CAFile)
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(config)))
	}
	if conf.HeadersFile != "" {
		headers, err := readHeaders(conf.HeadersFile)
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracegrpc.WithHeaders(headers))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to send spans to %s: %w", conf.Endpoint, err)
	}
	var attributes []attribute.KeyValue
	for name, value := range conf.Resource {
		attributes = append(attributes, attribute.String(name, value))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(conf.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(attributes...)),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(maxQueue), sdktrace.WithMaxExportBatchSize(maxBatch),
			sdktrace.WithBatchTimeout(batchEvery), sdktrace.WithExportTimeout(exportTimeout)),
	)
	otel.SetErrorHandler(&failures{say: conf.Failed})
	otel.SetTextMapPropagator(propagation.TraceContext{})
	opencensus.InstallTraceBridge(opencensus.WithTracerProvider(provider))
	octrace.DefaultTracer = bridge{octrace.DefaultTracer}
	return &Tracer{provider: provider}, nil
}

// Shutdown sends what waits, for as long as ctx lasts. Spans that are made afterwards are
// dropped. What did not arrive is no error: it has been told.
func (t *Tracer) Shutdown(ctx context.Context) error {
	err := t.provider.Shutdown(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

func tlsConfig(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of the collector: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the authorities of the collector: %s has no certificate in PEM format", caFile)
	}
	return config, nil
}

// readHeaders reads lines "name: value". Errors do not repeat a line, which may be a secret.
func readHeaders(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the headers for the collector: %w", err)
	}
	defer file.Close()
	headers := make(map[string]string)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || !validHeader(name, value) {
			return nil, fmt.Errorf("reading the headers for the collector: line %d of %s is not a header: write it as in \"authorization: Bearer …\"", n, path)
		}
		headers[name] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the headers for the collector: %s: %w", path, err)
	}
	return headers, nil
}

// validHeader goes by what gRPC sends: it would drop others, or refuse each batch.
func validHeader(name, value string) bool {
	badName := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
	badValue := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
	return name != "" && !badName && !badValue && !strings.HasPrefix(name, "grpc-") && !strings.HasSuffix(name, "-bin")
}

// failures tells of some of the errors of the SDK: they come with each batch.
type failures struct {
	say func(error)

	mu   sync.Mutex
	told time.Time
	more int
}

// Handle implements otel.ErrorHandler.
func (f *failures) Handle(err error) {
	if f.say == nil || err == nil || errors.Is(err, context.Canceled) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.told.IsZero() || now.Sub(f.told) >= sayAgain {
		if f.more > 0 {
			err = fmt.Errorf("%w (and %d more since the last time)", err, f.more)
		}
		f.told, f.more = now, 0
		f.say(err)
		return
	}
	f.more++
}
