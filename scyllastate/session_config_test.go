package scyllastate

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestSessionConfig shows that every setting of the connection reaches the
// session, and that no field of its configuration is forgotten here.
func TestSessionConfig(t *testing.T) {
	cfg := loaded(t, fullConfig)
	dir := t.TempDir()
	cfg.SetBaseDir(dir)
	cfg.Metrics, cfg.SlowQuery, cfg.Trace.Ratio = NewMetrics(), time.Second, 0.5
	waits := 0
	cfg.Waiting = func(error) { waits++ }
	session := func(create bool) scylla.Config { // functions cannot be compared
		got := cfg.session(create)
		got.Waiting(nil)
		got.Waiting = nil
		return got
	}
	want := scylla.Config{
		Section: "state.scylla",
		Hosts:   []string{"db1.example", "10.0.0.2", "::1"}, Port: 9142, Keyspace: "pins_2", LocalDC: "dc1",
		Replication: map[string]int{"dc1": 3, "dc2": 2}, Username: "cluster", Password: "top-secret",
		TLS: &scylla.TLS{
			CAFile: filepath.Join(dir, "ca.pem"), CertFile: "/etc/peer.pem", KeyFile: filepath.Join(dir, "peer.key"), ServerName: "db.example",
		},
		Compress: true, DisableShardAwarePort: true, ConnectTimeout: time.Minute, RequestTimeout: 6 * time.Second,
		Metrics: cfg.Metrics.cql, SlowQuery: time.Second, Trace: scylla.Tracing{Ratio: 0.5},
	}
	if got := session(true); !reflect.DeepEqual(got, want) || waits != 1 { // schema is verify: no keyspace is made
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	cfg.Schema, want.CreateKeyspace = SchemaApply, true
	got := session(true)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	for _, part := range []reflect.Value{reflect.ValueOf(cfg.session(true)), reflect.ValueOf(*got.TLS)} {
		for i := range part.NumField() {
			if part.Field(i).IsZero() {
				t.Errorf("%s.%s is not set from the configuration", part.Type(), part.Type().Field(i).Name)
			}
		}
	}
	if cfg.session(false).CreateKeyspace {
		t.Error("a tool that only looks may make the keyspace")
	}
	cfg = loaded(t, `{}`)
	if got := cfg.session(true); got.TLS != nil || got.Compress || got.DisableShardAwarePort {
		t.Errorf("the default has %+v", got)
	}
}
