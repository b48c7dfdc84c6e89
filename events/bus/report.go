package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// monitorTimeout is how long the monitoring of a server may take to answer.
const monitorTimeout = 5 * time.Second

// Report is what can be seen of NATS.
type Report struct {
	// Server is the one that this Bus is connected to, and Version its version.
	Server, Version string
	Streams         []StreamReport
	// Consumers are those of the stream of events that are kept, Dead how many dead letters
	// each consumer has.
	Consumers []ConsumerReport
	Dead      map[string]uint64
	// Sync has an entry for each URL of the configuration's MonitorURLs.
	Sync []SyncReport
}

// StreamReport is what a stream has.
type StreamReport struct {
	Name     string    `json:"name"`
	Made     time.Time `json:"made"`
	Messages uint64    `json:"messages"`
	Bytes    uint64    `json:"bytes"`
	First    time.Time `json:"first"` // of its messages
	Last     time.Time `json:"last"`
	Replicas int       `json:"replicas"`
}

// ConsumerReport is how far a consumer is: Pending messages were not given to it yet.
type ConsumerReport struct {
	Name           string `json:"name"`
	Pending        uint64 `json:"pending"`
	Unacknowledged int    `json:"unacknowledged"`
}

// SyncReport is how a server writes to disk. With Always it has written what it has
// acknowledged, else it may lose the last Interval in a power cut.
type SyncReport struct {
	URL, Server string
	Always      bool
	Interval    time.Duration
	// Err says why that is not known.
	Err error
}

// Report looks at the servers and the streams. What cannot be seen is an error, beside what
// can.
func (b *Bus) Report(ctx context.Context) (Report, error) {
	report := Report{Server: shownURL(b.conn.ConnectedUrl()), Version: b.conn.ConnectedServerVersion()}
	for _, u := range b.cfg.MonitorURLs {
		report.Sync = append(report.Sync, syncOf(ctx, u))
	}
	var errs []error
	for _, name := range []string{b.Stream(), b.DeadStream()} {
		s, err := b.reportStream(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		report.Streams = append(report.Streams, s)
	}
	if len(errs) == 0 {
		errs = append(errs, b.reportConsumers(ctx, &report))
	}
	return report, errors.Join(errs...)
}

func (b *Bus) reportStream(ctx context.Context, name string) (StreamReport, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := b.look(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return StreamReport{}, fmt.Errorf("there is no stream %s", name)
	}
	if err != nil {
		return StreamReport{}, err
	}
	info := stream.CachedInfo()
	return StreamReport{
		Name: name, Made: info.Created, Messages: info.State.Msgs, Bytes: info.State.Bytes,
		First: info.State.FirstTime, Last: info.State.LastTime,
		Replicas: info.Config.Replicas,
	}, nil
}

// reportConsumers looks at the consumers and their dead letters.
func (b *Bus) reportConsumers(ctx context.Context, report *Report) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	start := time.Now()
	stream, err := b.look(ctx, b.Stream())
	if err != nil {
		return err
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable != "" {
			report.Consumers = append(report.Consumers, ConsumerReport{Name: info.Name, Pending: info.NumPending, Unacknowledged: info.NumAckPending})
		}
	}
	if err := list.Err(); err != nil {
		return b.Explain(err, start, "listing the consumers of the stream %s", b.Stream())
	}
	dead, err := b.look(ctx, b.DeadStream())
	if err != nil {
		return err
	}
	info, err := dead.Info(ctx, jetstream.WithSubjectFilter(b.DeadSubject("*")))
	if err != nil {
		return b.Explain(err, start, "looking at the stream %s", b.DeadStream())
	}
	report.Dead = make(map[string]uint64)
	for subject, n := range info.State.Subjects {
		report.Dead[strings.TrimPrefix(subject, b.DeadSubject(""))] = n
	}
	return nil
}

// syncOf reads how the server with a URL of monitoring writes to disk.
func syncOf(ctx context.Context, monitorURL string) SyncReport {
	report := SyncReport{URL: shownURL(monitorURL)}
	ctx, cancel := context.WithTimeout(ctx, monitorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitorURL, "/")+"/varz", http.NoBody)
	if err != nil {
		report.Err = fmt.Errorf("asking the monitoring of NATS: %w", err)
		return report
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		report.Err = fmt.Errorf("asking the monitoring of NATS: %w", err)
		return report
	}
	defer response.Body.Close()
	var varz struct {
		Name      string `json:"server_name"`
		JetStream struct {
			Config *struct {
				Always   bool          `json:"sync_always"`
				Interval time.Duration `json:"sync_interval"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	switch err := json.NewDecoder(response.Body).Decode(&varz); {
	case response.StatusCode != http.StatusOK:
		report.Err = fmt.Errorf("asking the monitoring of NATS: it answers %s", response.Status)
	case err != nil:
		report.Err = fmt.Errorf("reading the monitoring of NATS: %w", err)
	case varz.JetStream.Config == nil:
		report.Server, report.Err = varz.Name, fmt.Errorf("the server %s: %w", varz.Name, ErrNoJetStream)
	default:
		report.Server, report.Always, report.Interval = varz.Name, varz.JetStream.Config.Always, varz.JetStream.Config.Interval
	}
	return report
}
