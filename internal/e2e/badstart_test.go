package e2e

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// nobody is an address where nothing listens. It is that of the peers of this
// process, which have other ports.
func nobody() database {
	return database{[]string{ownAddress()}, 1, "nobody"}
}

// A peer that cannot start ends with exit code 1 and one error, which names
// what is wrong and what to do.
func TestBadStart(t *testing.T) {
	t.Parallel()
	nowhere := nobody()
	address := nowhere.hosts[0] + ":" + strconv.Itoa(nowhere.port)
	p := newPeer(t, nowhere, nil, nil)
	for _, test := range []struct {
		name   string
		config map[string]any // of service.json
		env    map[string]string
		want   []string
	}{
		{name: "bad duration", config: map[string]any{"request_timeout": "10 parsecs"},
			want: []string{"state.scylla.request_timeout", `"10 parsecs"`}},
		{name: "negative duration", config: map[string]any{"request_timeout": "-1s"},
			want: []string{"state.scylla.request_timeout", "use 5s"}},
		{name: "empty hosts", config: map[string]any{"hosts": []string{}},
			want: []string{"state.scylla.hosts", "name at least one database node"}},
		{name: "host with port", config: map[string]any{"hosts": []string{"localhost:9042"}},
			want: []string{"state.scylla.hosts", `write "localhost" here and the port in state.scylla.port`}},
		{name: "keyspace with quotes", config: map[string]any{"keyspace": `x"; DROP KEYSPACE "y`},
			want: []string{"state.scylla.keyspace", "without quotes"}},
		{name: "port out of range", config: map[string]any{"port": 65536},
			want: []string{"state.scylla.port", "use 1 to 65535"}},
		{name: "unknown field", config: map[string]any{"host": "localhost"},
			want: []string{"state.scylla", `"host"`}},
		{name: "username without password", config: map[string]any{"username": "alice"},
			want: []string{"state.scylla.password", "set both"}},
		{name: "environment, not a number", env: map[string]string{"CLUSTER_SCYLLA_PORT": "cql"},
			want: []string{"CLUSTER_SCYLLA_PORT", "is not a whole number"}},
		{name: "environment, bad duration", env: map[string]string{"CLUSTER_SCYLLA_CONNECTTIMEOUT": "soon"},
			want: []string{"CLUSTER_SCYLLA_CONNECTTIMEOUT", `"soon"`}},
		{name: "environment, unknown", env: map[string]string{"CLUSTER_SCYLLA_HOST": "db1", "CLUSTER_SCYLLA_CONTACTPOINTS": "db1"},
			want: []string{"CLUSTER_SCYLLA_HOST: there is no such setting; did you mean CLUSTER_SCYLLA_HOSTS?",
				"CLUSTER_SCYLLA_CONTACTPOINTS: there is no such setting; docs/configuration.md lists them all"}},
		{name: "unreachable host", config: map[string]any{"connect_timeout": "2s"},
			want: []string{"connecting to the database at " + address, "connection refused", "connect_timeout (2s)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.setConfig(t, test.config)
			got := run(t, p.service(t, test.env, "daemon"))
			checkRefused(t, got, test.want...)
			if got.took > 20*time.Second {
				t.Errorf("it took %s", got.took)
			}
		})
	}

	p.start(t)
	eventually(t, time.Minute, "the first daemon waits for the database", func() error {
		return p.daemon.logged(t, attemptLines(nowhere.hosts, nowhere.port), 1)
	})
	t.Run("second daemon on one folder", func(t *testing.T) {
		checkRefused(t, run(t, p.service(t, nil, "daemon")),
			"another ipfs-cluster-service runs on "+p.folder, "stop it first, or use another folder with --config")
		p.daemon.running(t)
	})
	t.Run("Ctrl-C while waiting for the database", func(t *testing.T) {
		code, took := p.daemon.interrupt(t, syscall.SIGINT)
		if took > 2*time.Second {
			t.Errorf("it took %s, want 2s at the most", took)
		}
		checkRefused(t, outcome{code: code, stderr: p.daemon.text(t)}, "stopped by a signal", address, "connection refused")
	})
}

// A peer whose configuration does not fit the database says what is there.
func TestBadStartOnServer(t *testing.T) {
	t.Parallel()
	server := cqltest.Start(t)
	db := onNew(t, server)
	p := newPeer(t, db, nil, nil)
	session := server.Session(t)
	var dc string
	if err := session.Query("SELECT data_center FROM system.local").Scan(&dc); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config map[string]any
		want   []string
	}{
		{"unknown DC", map[string]any{"local_dc": "nowhere"},
			[]string{`no data centre "nowhere"`, dc, "correct state.scylla.local_dc"}},
		{"more replicas than nodes", map[string]any{"replication": map[string]int{dc: 99}},
			[]string{"state.scylla.replication", "99 replicas in " + dc, "lower it or add nodes"}},
		{"replicas in an unknown DC", map[string]any{"replication": map[string]int{"nowhere": 1}},
			[]string{"state.scylla.replication", `"nowhere"`}},
		{"schema that may not be created", map[string]any{"schema": "verify"},
			[]string{"keyspace " + db.keyspace + " does not exist", "schema: apply"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.setConfig(t, test.config)
			got := run(t, p.service(t, nil, "daemon"))
			checkRefused(t, got, test.want...)
			if got.took > 20*time.Second {
				t.Errorf("it took %s", got.took)
			}
		})
	}
	var keyspaces int
	if err := session.Query("SELECT count(*) FROM system_schema.keyspaces WHERE keyspace_name = ?", db.keyspace).Scan(&keyspaces); err != nil || keyspaces != 0 {
		t.Errorf("a peer that refused to start has made its keyspace (%d, %v)", keyspaces, err)
	}
}
