package scylla

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestLocalDC(t *testing.T) {
	for _, tt := range []struct {
		name, wanted string
		nodes        map[string]int
		got, err     string
	}{
		{"the only one", "", map[string]int{"dc1": 3}, "dc1", ""},
		{"named", "dc2", map[string]int{"dc1": 3, "dc2": 3}, "dc2", ""},
		{"not named", "", map[string]int{"dc2": 3, "dc1": 3}, "", "the cluster has 2 data centres (dc1, dc2): set state.scylla.local_dc to the one this peer is in"},
		{"unknown", "DC1", map[string]int{"dc1": 3}, "", `the cluster has no data centre "DC1", only dc1: correct state.scylla.local_dc`},
	} {
		got, err := localDC(tt.wanted, tt.nodes)
		if got != tt.got || text(err) != tt.err {
			t.Errorf("%s: %q, %q", tt.name, got, text(err))
		}
		if err != nil && !Permanent(err) {
			t.Errorf("%s: waiting would not help", tt.name)
		}
	}
}

func TestReplication(t *testing.T) {
	for _, tt := range []struct {
		name          string
		wanted, nodes map[string]int
		got, err      string
	}{
		{"chosen", nil, map[string]int{"a": 5, "b": 2}, "2 replicas in b, 3 replicas in a", ""},
		{"wanted", map[string]int{"a": 1}, map[string]int{"a": 5, "b": 2}, "1 replicas in a", ""},
		{"too many", map[string]int{"a": 3}, map[string]int{"a": 2}, "", "state.scylla.replication asks for 3 replicas in a, which has 2 nodes: lower it or add nodes"},
		{"unknown", map[string]int{"x": 3}, map[string]int{"a": 2}, "", `state.scylla.replication names the data centre "x", which the cluster does not have`},
	} {
		got, err := replication(tt.wanted, tt.nodes)
		if text(err) != tt.err || err == nil && describeReplicas(got) != tt.got {
			t.Errorf("%s: %v, %q", tt.name, got, text(err))
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestOpenWaitsAndSaysWhy shows that a server that is not there is waited for
// until connect_timeout, and that the error names the host and the cause.
func TestOpenWaitsAndSaysWhy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close() // nobody listens there now
	conf := Config{Hosts: []string{"127.0.0.1"}, Port: port, Keyspace: "k", RequestTimeout: time.Second, ConnectTimeout: 700 * time.Millisecond}
	_, err = Open(t.Context(), conf, noSetup)
	for _, part := range []string{"127.0.0.1:", "connect_timeout (700ms)", "connection refused"} {
		if !strings.Contains(text(err), part) {
			t.Errorf("%q does not name %q", text(err), part)
		}
	}

	conf.ConnectTimeout = 0 // for ever, but the operator may give up
	ctx, cancel := context.WithCancelCause(t.Context())
	gaveUp := errors.New("gave up")
	cancel(gaveUp)
	if _, err = Open(ctx, conf, noSetup); !errors.Is(err, gaveUp) {
		t.Errorf("Open ended with %v", err)
	}
}

// TestOpenMistakes shows that mistakes end the wait at once.
func TestOpenMistakes(t *testing.T) {
	good := testConfig(t)
	good.ConnectTimeout = 0
	for _, tt := range []struct {
		name   string
		change func(*Config)
		text   string
	}{
		{"unknown data centre", func(c *Config) { c.LocalDC = "nowhere" }, `no data centre "nowhere"`},
		{"too many replicas", func(c *Config) { c.Replication = map[string]int{"dc1": 99} }, "asks for 99 replicas"},
		{"missing keyspace", func(c *Config) { c.CreateKeyspace = false }, "does not exist and may not be created here"},
		{"missing CA", func(c *Config) { c.TLS = &TLS{CAFile: "/nonexistent/ca.pem"} }, "reading the CA of the database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := good
			tt.change(&conf)
			_, err := Open(t.Context(), conf, noSetup)
			if !Permanent(err) || !strings.Contains(text(err), tt.text) {
				t.Errorf("permanent %t, %q", Permanent(err), text(err))
			}
		})
	}
}

// TestOpenRefusesPlainTextWhenTLSIsWanted asks for TLS from a server that has
// none.
func TestOpenRefusesPlainTextWhenTLSIsWanted(t *testing.T) {
	conf := testConfig(t)
	conf.TLS = &TLS{}
	conf.ConnectTimeout = 2 * time.Second
	if db, err := Open(t.Context(), conf, noSetup); err == nil {
		db.Close()
		t.Fatal("a connection without TLS was accepted")
	}
}
