package bus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestReport(t *testing.T) {
	for name, test := range map[string]struct {
		configure func(*server.Options)
		want      bus.SyncReport
	}{
		"always": {
			func(opts *server.Options) { opts.SyncAlways = true },
			bus.SyncReport{Server: "nats0", Always: true, Interval: 2 * time.Minute},
		},
		"now and then": {
			func(opts *server.Options) { opts.SyncInterval = 10 * time.Second },
			bus.SyncReport{Server: "nats0", Interval: 10 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(opts *server.Options) {
				opts.HTTPHost, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT
				test.configure(opts)
			}})
			test.want.URL = cluster.MonitorURL(0)
			b := connect(t, cluster, func(cfg *bus.Config) { cfg.MonitorURLs = []string{cluster.MonitorURL(0), "http://127.0.0.1:1"} })
			report, err := b.Report(t.Context())
			if err == nil || !strings.Contains(err.Error(), "no stream ipfs-cluster-events") {
				t.Errorf("without streams: %v", err)
			}
			if len(report.Sync) != 2 || report.Sync[0] != test.want || report.Sync[1].Err == nil {
				t.Errorf("it syncs as %+v, want %+v and an error", report.Sync, test.want)
			}
			must(t, b.NewPublisher(1, 1, at(1)).Publish(t.Context(), batch(2, 3), at(3)))
			report, err = b.Report(t.Context())
			must(t, err)
			if !slices.ContainsFunc(report.Streams, func(s bus.StreamReport) bool {
				return s.Name == "ipfs-cluster-events" && s.Messages == 3 && s.Bytes > 0 && s.Replicas == 1 && !s.Last.Before(s.First) && !s.First.Before(s.Made)
			}) || len(report.Streams) != 2 {
				t.Errorf("the streams are %+v", report.Streams)
			}
			if report.Version != server.VERSION || report.Server == "" {
				t.Errorf("connected to %s, version %s", report.Server, report.Version)
			}
		})
	}
}
