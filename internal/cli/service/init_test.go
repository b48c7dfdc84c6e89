package service

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	peerA = "12D3KooWKwzgi8u2Kw8mGHqXB2xKuvPtVD5vGZ5hL6VbbLEXyX9u"
	peerB = "QmPSoSaPXpyunaBwHs1rZBKYSqRV4bLRk32VGYLuvdrypL"
)

// settings is service.json as nested maps.
type settings map[string]any

func readSettings(t *testing.T, folder string) settings {
	t.Helper()
	var s settings
	if err := json.Unmarshal([]byte(readFile(t, folder, "service.json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// at returns what is under a path such as "state.scylla", nil if nothing is.
func (s settings) at(path string) any {
	var v any = map[string]any(s)
	for _, key := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func TestInitScyllaWritesOnlyWhatIsWanted(t *testing.T) {
	t.Setenv("CLUSTER_PEERNAME", "peer")
	folder := filepath.Join(t.TempDir(), "new", "folder")
	got := mustRun(t, folder, "init", "--state", "scylla")
	text := readFile(t, folder, "service.json")
	secret, _ := readSettings(t, folder).at("cluster.secret").(string)
	if len(secret) != 64 {
		t.Errorf("the secret %q is not 32 bytes in hex", secret)
	}
	text = strings.ReplaceAll(text, secret, "SECRET")
	golden := filepath.Join("testdata", "init-scylla.json")
	if *update {
		writeFile(t, golden, text)
	}
	if want := readFile(t, golden); text != want {
		t.Errorf("service.json is\n%s\nwant %s; run the test with -update if that is right", text, golden)
	}

	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"identity.json", "peerstore", "service.json"}; !slices.Equal(names, want) {
		t.Errorf("init made %v, want %v", names, want)
	}
	for _, want := range []string{"configuration written to ", "new identity written to ", "new empty peerstore written to "} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr does not say %q:\n%s", want, got.stderr)
		}
	}
}

func TestInitConsensusScyllaIsStateScylla(t *testing.T) {
	t.Setenv("CLUSTER_SECRET", strings.Repeat("ab", 32))
	var texts []string
	for _, args := range [][]string{{"--state", "scylla"}, {"--consensus", "scylla"}, {"--state", "scylla", "--consensus", "scylla"}} {
		folder := t.TempDir()
		mustRun(t, folder, append([]string{"init"}, args...)...)
		texts = append(texts, readFile(t, folder, "service.json"))
	}
	for i, text := range texts[1:] {
		if text != texts[0] {
			t.Errorf("variant %d writes\n%s\nwant\n%s", i+1, text, texts[0])
		}
	}
}

// TestInitSections compares the components in service.json: scylla must have
// what upstream's default has, but for where the pinset is.
func TestInitSections(t *testing.T) {
	t.Parallel()
	components := func(args ...string) map[string][]string {
		folder := t.TempDir()
		mustRun(t, folder, append([]string{"init"}, args...)...)
		sections := make(map[string][]string)
		for name, section := range readSettings(t, folder) {
			if name != "cluster" {
				sections[name] = slices.Sorted(maps.Keys(section.(map[string]any)))
			}
		}
		return sections
	}
	crdt := components()
	if !slices.Equal(crdt["consensus"], []string{"crdt"}) || !slices.Equal(crdt["datastore"], []string{"pebble"}) || crdt["state"] != nil {
		t.Errorf("init without flags gives %v", crdt)
	}
	raft := components("--consensus", "raft")
	if !slices.Equal(raft["consensus"], []string{"raft"}) || raft["datastore"] != nil || raft["state"] != nil {
		t.Errorf("init for raft gives %v", raft)
	}
	badger := components("--datastore", "badger3")
	if !slices.Equal(badger["datastore"], []string{"badger3"}) {
		t.Errorf("init for badger3 gives %v", badger)
	}
	delete(crdt, "consensus")
	delete(crdt, "datastore")
	crdt["state"] = []string{"scylla"}
	crdt["observations"] = append([]string{"admin"}, crdt["observations"]...)
	if scylla := components("--state", "scylla"); !reflect.DeepEqual(scylla, crdt) {
		t.Errorf("init for scylla gives %v, want %v", scylla, crdt)
	}
}

func TestInitPeers(t *testing.T) {
	t.Parallel()
	peers := "/ip4/127.0.0.1/tcp/9096/p2p/" + peerA + ", /ip4/127.0.0.1/tcp/9097/p2p/" + peerB
	for path, args := range map[string][]string{
		"state.scylla.trusted_peers":   {"--state", "scylla"},
		"consensus.crdt.trusted_peers": {"--consensus", "crdt"},
		"consensus.raft.init_peerset":  {"--consensus", "raft"},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			mustRun(t, folder, append([]string{"init", "--peers", peers}, args...)...)
			got, _ := readSettings(t, folder).at(path).([]any)
			if !slices.Equal(got, []any{peerA, peerB}) {
				t.Errorf("%s is %v, want the two peers", path, got)
			}
			if n := strings.Count(readFile(t, folder, "peerstore"), "/p2p/"); n != 2 {
				t.Errorf("the peerstore has %d addresses, want 2", n)
			}
		})
	}
}

func TestInitRandomPorts(t *testing.T) {
	t.Parallel()
	addresses := []string{"observations.admin.listen", "api.restapi.http_listen_multiaddress", "api.ipfsproxy.listen_multiaddress", "api.pinsvcapi.http_listen_multiaddress", "cluster.listen_multiaddress"}
	plain, random := t.TempDir(), t.TempDir()
	mustRun(t, plain, "init", "--state", "scylla")
	mustRun(t, random, "init", "--state", "scylla", "--randomports")
	for _, path := range addresses {
		before, after := readSettings(t, plain).at(path), readSettings(t, random).at(path)
		if before == nil || after == nil || reflect.DeepEqual(before, after) {
			t.Errorf("%s was %v and is %v with --randomports", path, before, after)
		}
	}
}

func TestInitWritesTheEnvironment(t *testing.T) {
	t.Setenv("CLUSTER_SCYLLA_HOSTS", "db1,db2")
	t.Setenv("CLUSTER_SCYLLA_KEYSPACE", "other")
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla")
	s := readSettings(t, folder)
	if hosts, _ := s.at("state.scylla.hosts").([]any); !slices.Equal(hosts, []any{"db1", "db2"}) || s.at("state.scylla.keyspace") != "other" {
		t.Errorf("state.scylla is %v", s.at("state.scylla"))
	}
	t.Setenv("CLUSTER_SCYLLA_PORT", "tcp://10.0.0.1:9042") // as Kubernetes sets it for a service with this name
	folder = t.TempDir()
	checkRefused(t, run(t, folder, "", "init", "--state", "scylla"),
		`applying environment variables to configuration: environment variable CLUSTER_SCYLLA_PORT: "tcp://10.0.0.1:9042" is not a whole number`)
	if _, err := os.Stat(filepath.Join(folder, "service.json")); err == nil {
		t.Error("service.json was written")
	}
}

// TestInitWritesEvents only if the environment asks for them.
func TestInitWritesEvents(t *testing.T) {
	t.Setenv("CLUSTER_EVENTS_PREFIX", "other")
	off, crdt, on := t.TempDir(), t.TempDir(), t.TempDir()
	mustRun(t, off, "init", "--state", "scylla")
	t.Setenv("CLUSTER_EVENTS_EMBEDDED_ENABLED", "true")
	mustRun(t, crdt, "init", "--consensus", "crdt")
	mustRun(t, on, "init", "--state", "scylla")
	for _, folder := range []string{off, crdt} {
		if strings.Contains(readFile(t, folder, "service.json"), `"events"`) {
			t.Errorf("events are written: %s", readFile(t, folder, "service.json"))
		}
	}
	s := readSettings(t, on)
	if s.at("state.events.embedded.enabled") != true || s.at("state.events.prefix") != "other" {
		t.Errorf("state.events is %v", s.at("state.events"))
	}
}

func TestInitPromptsBeforeItOverwrites(t *testing.T) {
	t.Parallel()
	const question = "The configuration file will be overwritten. Continue? [y/n]: "
	const again = "Please press either 'y' or 'n'\n"
	for _, tc := range []struct {
		name, stdin string
		args        []string
		overwritten bool
		stdout      string
	}{
		{"yes", "y\n", nil, true, question},
		{"yes without newline", "Y", nil, true, question},
		{"no", "n\n", nil, false, question},
		{"nothing", "\n", nil, false, question},
		{"end of input", "", nil, false, question},
		{"second try", "what\ny\n", nil, true, question + again + question},
		{"never", "what\nwhat\nwhat\ny\n", nil, false, question + again + question + again + question + again},
		{"force", "", []string{"--force"}, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			mustRun(t, folder, "init", "--state", "scylla")
			before, identity := readFile(t, folder, "service.json"), readFile(t, folder, "identity.json")
			got := run(t, folder, tc.stdin, append([]string{"init", "--state", "scylla"}, tc.args...)...)
			if got.code != 0 || got.stdout != tc.stdout {
				t.Errorf("exit code %d, stdout %q, want 0 and %q; stderr %s", got.code, got.stdout, tc.stdout, got.stderr)
			}
			// Each init makes another secret.
			if overwritten := readFile(t, folder, "service.json") != before; overwritten != tc.overwritten {
				t.Errorf("overwritten: %t, want %t", overwritten, tc.overwritten)
			}
			if readFile(t, folder, "identity.json") != identity {
				t.Error("the identity was replaced")
			}
		})
	}
}

// Under stock only the --force after the name of the subcommand counts.
func TestInitGlobalForce(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	mustRun(t, folder, "init")
	if got := run(t, folder, "", "--force", "init"); got.code != 0 || !strings.HasSuffix(got.stdout, "Continue? [y/n]: ") || got.stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

func TestInitCustomSecret(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("0f", 32)
	folder := t.TempDir()
	if got := run(t, folder, secret+"\n", "init", "--state", "scylla", "--custom-secret"); got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	if got := readSettings(t, folder).at("cluster.secret"); got != secret {
		t.Errorf("secret is %v, want %s", got, secret)
	}
	checkRefused(t, run(t, t.TempDir(), "abcd\n", "init", "--state", "scylla", "-s"),
		"parsing user-provided secret: input secret is 2 bytes, cluster secret should be 32")
}

func TestInitSource(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla", "http://127.0.0.1:1/service.json")
	if got, want := readSettings(t, folder), (settings{"source": "http://127.0.0.1:1/service.json"}); !reflect.DeepEqual(got, want) {
		t.Errorf("service.json is %v, want %v", got, want)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--state", "crdt"}, `choosing state: --state "crdt" is unknown, use 'scylla', or --consensus for 'crdt' and 'raft'`},
		{[]string{"--state", ""}, `choosing state: --state "" is unknown, use 'scylla', or --consensus for 'crdt' and 'raft'`},
		{[]string{"--state", "scylla", "--consensus", "crdt"}, `choosing state: --state scylla and --consensus crdt exclude each other, use one of them`},
		{[]string{"--consensus", "paxos"}, `choosing consensus: flag value must be set to 'raft', 'crdt' or 'scylla'`},
		{[]string{"--state", "scylla", "--datastore", "badger"}, `choosing datastore: the scylla state keeps nothing in a datastore, leave --datastore out`},
		{[]string{"--datastore", "disk"}, `choosing datastore: flag value must be set to 'leveldb', 'badger', 'badger3' or 'pebble'`},
		{[]string{"--peers", "/ip4/127.0.0.1/tcp/9096"}, `reading --peers: "/ip4/127.0.0.1/tcp/9096" does not end in /p2p/ and a peer ID`},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "f")
			checkRefused(t, run(t, folder, "", append([]string{"init"}, tc.args...)...), tc.want)
			if _, err := os.Stat(folder); err == nil {
				t.Error("the folder was made")
			}
		})
	}
}
