package service

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fslock "github.com/ipfs/go-fs-lock"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// initWith makes a folder for a scylla state whose database is never there, and
// puts components into sections of its service.json.
func initWith(t *testing.T, sections map[string]map[string]any) string {
	t.Helper()
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla", "--randomports")
	s := readSettings(t, folder)
	for name, components := range sections {
		section, _ := s[name].(map[string]any)
		if section == nil {
			section = make(map[string]any)
			s[name] = section
		}
		for key, value := range components {
			section[key] = value
		}
	}
	// A test that gets further than it should must not wait for ever, and
	// must not meet a server that somebody runs on the default port.
	if scylla, _ := s.at("state.scylla").(map[string]any); scylla != nil {
		scylla["connect_timeout"] = "1s"
		if _, set := scylla["port"]; !set || scylla["port"] == float64(scyllastate.DefaultPort) {
			scylla["port"] = 1
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(folder, "service.json"), string(text))
	return folder
}

// consensusSection returns the consensus that init writes.
func consensusSection(t *testing.T, name string) map[string]any {
	t.Helper()
	folder := t.TempDir()
	mustRun(t, folder, "init", "--consensus", name)
	return map[string]any{name: readSettings(t, folder).at("consensus." + name)}
}

// TestBadConfig starts each command that needs a configuration on bad ones.
func TestBadConfig(t *testing.T) {
	scylla := func(fields map[string]any) map[string]map[string]any {
		return map[string]map[string]any{"state": {"scylla": fields}}
	}
	const move = ` are both there, but a pinset is in one place: remove consensus.NAME. Its pins move into the database with "ipfs-cluster-service migrate", from a folder that has consensus.NAME and not state.scylla: see ipfs-cluster-service migrate --help`
	for _, tc := range []struct {
		name     string
		sections map[string]map[string]any
		want     string // after "error loading configurations: FILE: "
	}{
		{"scylla and crdt", map[string]map[string]any{"consensus": consensusSection(t, "crdt")},
			"state.scylla and consensus.crdt" + strings.ReplaceAll(move, "NAME", "crdt")},
		{"scylla and raft", map[string]map[string]any{"consensus": consensusSection(t, "raft")},
			"state.scylla and consensus.raft" + strings.ReplaceAll(move, "NAME", "raft")},
		{"crdt and raft", map[string]map[string]any{
			"state":     {"scylla": nil},
			"consensus": {"crdt": consensusSection(t, "crdt")["crdt"], "raft": consensusSection(t, "raft")["raft"]},
		}, "consensus.crdt and consensus.raft are both there: remove the one that is not used"},
		{"nothing", map[string]map[string]any{"state": {"scylla": nil}},
			`nothing says where the pinset is: add "state": {"scylla": {}}, or a consensus section`},
		{"bad duration", scylla(map[string]any{"request_timeout": "10 seconds"}),
			`state.scylla.request_timeout: "10 seconds" is not a duration: write a number and a unit, as in 500ms, 10s or 24h`},
		{"empty hosts", scylla(map[string]any{"hosts": []string{}}),
			`state.scylla.hosts: is empty: name at least one database node`},
		{"quoted keyspace", scylla(map[string]any{"keyspace": `"Pins"`}),
			`state.scylla.keyspace: "\"Pins\"" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`},
		{"port", scylla(map[string]any{"port": 70000}),
			`state.scylla.port: 70000 is not a port: use 1 to 65535 (CQL servers listen on 9042)`},
		{"unknown field", scylla(map[string]any{"host": "db1"}),
			`state.scylla: unknown field "host": correct its name or remove it`},
		{"half a login", scylla(map[string]any{"username": "peer"}),
			`state.scylla.password: is empty but username is set: set both, or none for a database without authentication`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			folder := initWith(t, tc.sections)
			want := "loading configurations: " + filepath.Join(folder, "service.json") + ": " + tc.want
			for _, args := range [][]string{{"daemon"}, {"state", "export"}, {"state", "import", "--force"}, {"state", "cleanup", "--force"}} {
				checkRefused(t, run(t, folder, "", args...), want)
			}
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	folder := initWith(t, nil)
	t.Setenv("CLUSTER_SCYLLA_KEYSPACE", "Pins")
	checkRefused(t, run(t, folder, "", "daemon"), "loading configurations: "+filepath.Join(folder, "service.json")+
		`: environment variable CLUSTER_SCYLLA_KEYSPACE: state.scylla.keyspace: "Pins" cannot be used: start with a lower-case letter and go on with at most 47 lower-case letters, digits or underscores, without quotes`)
}

// TestForeignEnvironment: what is wrong with the variables of a scylla state is
// no matter to a folder without one.
func TestForeignEnvironment(t *testing.T) {
	crdt, scylla := t.TempDir(), initWith(t, nil)
	mustRun(t, crdt, "init", "--consensus", "crdt")
	t.Setenv("CLUSTER_SCYLLA_HOST", "db1")
	mustRun(t, crdt, "state", "crdt", "info")
	mustRun(t, t.TempDir(), "init", "--consensus", "crdt")
	const want = "environment variable CLUSTER_SCYLLA_HOST: there is no such setting; did you mean CLUSTER_SCYLLA_HOSTS?"
	checkRefused(t, run(t, scylla, "", "daemon"), "loading configurations: "+filepath.Join(scylla, "service.json")+": "+want)
	checkRefused(t, run(t, t.TempDir(), "", "init", "--state", "scylla"), "applying environment variables to configuration: "+want)
}

// TestEvents: what the daemon gets of state.events, and what is shown and saved of it.
func TestEvents(t *testing.T) {
	const url = "nats://u:geheim@nats1:4222"
	load := func(t *testing.T, fields any, want string) {
		t.Helper()
		p := sharedPeer(t, map[string]map[string]any{"state": {"events": fields}})
		shown, err := p.cfg.Manager().ToDisplayJSON()
		if err != nil {
			t.Fatal(err)
		}
		saved, err := p.cfg.Manager().ToJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), "geheim") {
			t.Errorf("a password is shown:\n%s", shown)
		}
		if want == "" {
			if p.cfg.events != nil || !strings.Contains(string(shown), `"events": null`) || !strings.Contains(string(saved), `"events": null`) {
				t.Errorf("events are off, and are %+v, shown as\n%s\nand saved as\n%s", p.cfg.events, shown, saved)
			}
			return
		}
		if p.cfg.events == nil || strings.Join(p.cfg.events.URLs, " ") != want ||
			!strings.Contains(string(shown), "XXX_hidden_XXX@nats1") || !strings.Contains(string(saved), want) {
			t.Errorf("events are %+v, shown as\n%s\nand saved as\n%s", p.cfg.events, shown, saved)
		}
	}
	load(t, nil, "")
	load(t, map[string]any{"urls": []string{url}}, url)
	t.Setenv("CLUSTER_EVENTS_URLS", url)
	load(t, nil, url)
}

// TestBadEvents refuses bad sections and variables before anything is started.
func TestBadEvents(t *testing.T) {
	refused := func(fields map[string]any, want string) {
		t.Helper()
		folder := initWith(t, map[string]map[string]any{"state": {"events": fields}})
		checkRefused(t, run(t, folder, "", "daemon"), "loading configurations: "+filepath.Join(folder, "service.json")+": "+want)
	}
	refused(map[string]any{"url": "nats://nats1"},
		`state.events: unknown field "url": correct its name or remove it`)
	refused(map[string]any{"urls": []string{"nats://nats1"}, "embedded": map[string]any{"enabled": true}},
		`state.events.urls: is set, but the server of embedded.enabled is the only one: remove urls, or set embedded.enabled to false to use them`)

	crdt := t.TempDir()
	mustRun(t, crdt, "init", "--consensus", "crdt")
	s := readSettings(t, crdt)
	s["state"] = map[string]any{"events": map[string]any{}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(crdt, "service.json"), string(text))
	file := filepath.Join(crdt, "service.json")
	checkRefused(t, run(t, crdt, "", "state", "crdt", "info"), "loading configurations: "+file+
		": state.events is there, but events are told from the database, and the pinset is in consensus.crdt: remove it")

	scylla := initWith(t, nil)
	const unknown = "environment variable CLUSTER_EVENTS_URL: there is no such setting; did you mean CLUSTER_EVENTS_URLS?"
	t.Setenv("CLUSTER_EVENTS_URL", "nats://nats1")
	checkRefused(t, run(t, scylla, "", "daemon"), "loading configurations: "+unknown)
	checkRefused(t, run(t, t.TempDir(), "", "init", "--state", "scylla"), "applying environment variables to configuration: "+unknown)
	foreign := t.TempDir()
	mustRun(t, foreign, "init", "--consensus", "crdt")
	mustRun(t, foreign, "state", "crdt", "info")
}

func TestDaemonWithoutInit(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "missing")
	checkRefused(t, run(t, folder, "", "daemon"),
		"loading configurations: there is no "+filepath.Join(folder, "service.json")+
			`: run "ipfs-cluster-service init" first, or name another folder with --config`)
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder was made")
	}
}

func TestDaemonBadBootstrap(t *testing.T) {
	folder := initWith(t, nil)
	checkRefused(t, run(t, folder, "", "daemon", "--bootstrap", "/ip4/127.0.0.1/tcp/9096"),
		`reading --bootstrap: "/ip4/127.0.0.1/tcp/9096" does not end in /p2p/ and a peer ID`)
}

// --keyspace protects nothing where there is no keyspace, and adopt is for one.
func TestKeyspaceIsForScylla(t *testing.T) {
	crdt := t.TempDir()
	mustRun(t, crdt, "init")
	const want = "reading the command line: --keyspace is for a scylla state, and this peer has none: leave it out"
	checkRefused(t, run(t, crdt, "", "state", "cleanup", "--force", "--keyspace", "ipfs_cluster"), want)
	checkRefused(t, run(t, crdt, "", "state", "import", "--force", "--keyspace", "ipfs_cluster", os.DevNull), want)
	checkRefused(t, run(t, crdt, "", "state", "adopt"), "adopting the keyspace: this peer has no scylla state")
}

// TestLock holds the lock and starts what must not run beside another process.
// TestDaemonLocal does it with two processes.
func TestLock(t *testing.T) {
	crdt := t.TempDir()
	mustRun(t, crdt, "init")
	scylla := initWith(t, nil)
	for _, tc := range []struct {
		folder string
		args   []string
	}{
		{scylla, []string{"daemon"}},
		{scylla, []string{"init", "--force"}},
		{crdt, []string{"state", "export"}},
		{crdt, []string{"state", "import", "--force"}},
		{crdt, []string{"state", "cleanup", "--force"}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			lock, err := fslock.Lock(tc.folder, lockFile)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			checkRefused(t, run(t, tc.folder, "", tc.args...),
				"obtaining execution lock: another ipfs-cluster-service runs on "+tc.folder+": stop it first, or use another folder with --config")
		})
	}
}

// TestLockIsReleased runs into an error after the lock was taken, twice.
func TestLockIsReleased(t *testing.T) {
	crdt := t.TempDir()
	mustRun(t, crdt, "init")
	missing := filepath.Join(t.TempDir(), "pins.json")
	for range 2 {
		checkRefused(t, run(t, crdt, "", "state", "import", "--force", missing),
			"reading import file: open "+missing+": no such file or directory")
	}
}
