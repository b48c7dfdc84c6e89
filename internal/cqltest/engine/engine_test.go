package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseHosts(t *testing.T) {
	for list, want := range map[string]struct {
		hosts string
		port  int
	}{
		"127.0.0.1":                     {"127.0.0.1", 9042},
		"127.0.0.1, 127.0.0.2":          {"127.0.0.1 127.0.0.2", 9042},
		"db.example:19042":              {"db.example", 19042},
		"127.0.0.1:9043,127.0.0.2:9043": {"127.0.0.1 127.0.0.2", 9043},
		"::1":                           {"::1", 9042},
		"[::1]:9043":                    {"::1", 9043},
	} {
		hosts, port, err := parseHosts(list)
		if err != nil || strings.Join(hosts, " ") != want.hosts || port != want.port {
			t.Errorf("parseHosts(%q) = %v, %d, %v; want %v", list, hosts, port, err, want)
			continue
		}
		again, port, err := parseHosts(formatHosts(hosts, port))
		if err != nil || !slices.Equal(again, hosts) || port != want.port {
			t.Errorf("%q does not survive formatHosts: %v, %d, %v", list, again, port, err)
		}
	}
	for _, bad := range []string{",", "127.0.0.1,", "a:0", "a:65536", "a:x", "a,b:9043"} {
		if hosts, port, err := parseHosts(bad); err == nil || !strings.Contains(err.Error(), "CQL_HOSTS="+bad) {
			t.Errorf("parseHosts(%q) = %v, %d, %v; want an error that names the list", bad, hosts, port, err)
		}
	}
}

func TestOptionsFromEnv(t *testing.T) {
	for _, test := range []struct{ nodes, dcs, kind, wrong string }{
		{"", "", "", ""},
		{"6", "3", "cassandra", ""},
		{"0x", "", "", "CQL_NODES"},
		{"7", "", "", "CQL_NODES"},
		{"-1", "", "", "CQL_NODES"},
		{"2", "3", "", "CQL_DCS"},
		{"6", "4", "", "CQL_DCS"},
		{"", "", "mysql", "DEMO_ENGINE"},
	} {
		t.Setenv("CQL_NODES", test.nodes)
		t.Setenv("CQL_DCS", test.dcs)
		t.Setenv("DEMO_ENGINE", test.kind)
		_, err := OptionsFromEnv()
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestReserveGivesEachAddressOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var taken []string
	var clusters []*CassandraCluster
	for range 3 {
		c, err := Reserve(Options{Nodes: 2})
		if err != nil {
			t.Fatal(err)
		}
		clusters = append(clusters, c)
		for _, h := range c.Hosts() {
			if slices.Contains(taken, h) {
				t.Fatalf("%s given twice", h)
			}
			taken = append(taken, h)
		}
	}
	first := clusters[0].Hosts()
	dir := clusters[0].block.dir
	if err := clusters[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if exists(dir) {
		t.Errorf("%s is left after Stop", dir)
	}
	again, err := Reserve(Options{Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Hosts(), first) {
		t.Errorf("got %v, want the addresses %v that were given back", again.Hosts(), first)
	}
	for _, c := range append(clusters, again) {
		if err := c.Stop(); err != nil { // the second Stop of the first one does nothing
			t.Error(err)
		}
	}
}

// A prerequisite that is missing is named with the line that installs it.
func TestMissingPrerequisites(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	_, err := findJava(t.Context())
	if err == nil || !strings.Contains(err.Error(), "apt-get install -y openjdk-17-jre-headless") {
		t.Errorf("no java: %v", err)
	}

	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := "#!/bin/sh\necho 'openjdk version \"21.0.1\"'\n"
	if err := os.WriteFile(filepath.Join(home, "bin", "java"), []byte(old), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_HOME", home)
	_, err = findJava(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not Java 17") || !strings.Contains(err.Error(), "21.0.1") {
		t.Errorf("java 21: %v", err)
	}

	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err = jars(t.Context(), Options{Progress: t.Output()})
	if err == nil || !strings.Contains(err.Error(), "apt-get install -y maven") {
		t.Errorf("no mvn: %v", err)
	}
}

// A fetch that fails leaves nothing that a later one would take for jars.
func TestFailedFetchLeavesNothing(t *testing.T) {
	bin, cache := t.TempDir(), t.TempDir()
	mvn := "#!/bin/sh\nmkdir lib; echo half >lib/a.jar; echo no route to repository; exit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte(mvn), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", cache)
	for range 2 {
		_, err := jars(t.Context(), Options{Progress: t.Output()})
		if err == nil || !strings.Contains(err.Error(), "no route to repository") {
			t.Fatalf("mvn failed: %v", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

// A node that cannot start is reported with its log, at once.
func TestStartReportsTheLog(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	java := "#!/bin/sh\n[ \"$1\" = -version ] && echo 'openjdk version \"17.0.1\"' && exit\necho the disk is on fire; exit 3\n"
	if err := os.WriteFile(filepath.Join(home, "bin", "java"), []byte(java), 0o700); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "ipfs-cluster-scylla", "cassandra-"+cassandraVersion), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_HOME", home)
	t.Setenv("XDG_CACHE_HOME", cache)
	c, err := Reserve(Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Start(context.Background())
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start with a broken java: %v", err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

// A node that lets nobody in, as one does while its roles have no replica, is
// asked again.
func TestWaitPeersInsists(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*probeInterval)
	defer cancel()
	cfg := AdminConfig([]string{"127.0.0.1"}, 1, true)
	if err := waitPeers(ctx, cfg, nil, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("waiting for a node that is not there: %v", err)
	}
	died := make(chan struct{})
	close(died)
	if err := waitPeers(t.Context(), cfg, nil, died); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("waiting for a node that has died: %v", err)
	}
}

func TestRolesReplication(t *testing.T) {
	c := &CassandraCluster{opts: Options{Nodes: 6, DCs: 2}}
	for _, dc := range []string{"dc1", "dc2", "dc1", "dc1", "dc1"} {
		c.nodes = append(c.nodes, &node{dc: dc})
	}
	const want = "ALTER KEYSPACE system_auth WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 1}"
	if got := c.rolesReplication(); got != want {
		t.Errorf("it says %s\nwant %s", got, want)
	}
}

// What this cannot reach is an error before anything is started.
func TestScyllaWithoutDocker(t *testing.T) {
	t.Setenv("CQL_HOSTS", "")
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "docker.sock"))
	_, err := Start(t.Context(), Options{Kind: Scylla})
	if !errors.Is(err, errNoDocker) {
		t.Errorf("want that no Docker daemon answers, got: %v", err)
	}
}

// A node acknowledges what is on disk, unless it was asked for something else.
func TestPeriodic(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{}, "commitlog_sync: batch"},
		{Options{Auth: true}, "commitlog_sync: batch"},
		{Options{Periodic: true}, "commitlog_sync: periodic commitlog_sync_period: 10000ms"},
		{Options{Volatile: true}, "commitlog_sync: periodic commitlog_sync_period: 10000ms"},
	} {
		c, err := Reserve(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(c.nodes[0].yaml()) {
			if strings.HasPrefix(line, "commitlog_sync") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.opts, got, test.want)
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// Only a node that was asked for it keeps in memory what belongs on disk.
func TestVolatile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, volatile := range []bool{false, true} {
		c, err := Reserve(Options{Volatile: volatile})
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{keepSchemaInMemory, keepSystemInMemory} {
			if got := slices.Contains(c.nodes[0].arguments("lib"), flag); got != volatile {
				t.Errorf("Volatile: %t; %s: %t", volatile, flag, got)
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}
