package service

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"
)

// TestFlags compares the names of all flags with those of upstream's command
// v1.1.6. This project adds one.
func TestFlags(t *testing.T) {
	want := map[string][]string{
		"":             {"config, c", "debug, d", "force, f", "loglevel, l"},
		"init":         {"consensus", "custom-secret, s", "datastore", "force, f", "peers", "randomports", "state"}, // state is ours
		"daemon":       {"bootstrap, j", "leave, x", "no-trust", "stats", "tracing", "upgrade, u"},
		"state":        nil,
		"state export": {"file, f"},
		"state import": {"allocations, allocs", "force, f", "replication-max, rmax", "replication-min, rmin"},
		// "state crdt" of upstream is not there.
		"state cleanup": {"force, f"},
		"version":       nil,
	}
	got := make(map[string][]string)
	names := func(flags []cli.Flag) []string {
		var names []string
		for _, f := range flags {
			names = append(names, f.GetName())
		}
		sort.Strings(names)
		return names
	}
	var walk func(prefix string, commands []cli.Command)
	walk = func(prefix string, commands []cli.Command) {
		for _, c := range commands {
			got[prefix+c.Name] = names(c.Flags)
			if c.OnUsageError == nil {
				t.Errorf("command %s has no OnUsageError: its help would bury the error", prefix+c.Name)
			}
			walk(prefix+c.Name+" ", c.Subcommands)
		}
	}
	app := (&command{}).app()
	got[""] = names(app.Flags)
	walk("", app.Commands)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags are\n%v, want\n%v", got, want)
	}
}

func TestFlagEnvironment(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("IPFS_CLUSTER_PATH", folder)
	var stdout, stderr bytes.Buffer
	if code := Main([]string{programName, "--loglevel", "fatal", "init"}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(folder, "service.json")); err != nil {
		t.Errorf("IPFS_CLUSTER_PATH was not used: %v", err)
	}
	t.Setenv("IPFS_CLUSTER_LOG_LEVEL", "loud")
	stderr.Reset()
	code := Main([]string{programName, "version"}, strings.NewReader(""), &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), `"loud" is unknown`) {
		t.Errorf("IPFS_CLUSTER_LOG_LEVEL was not used: exit code %d, stderr %s", code, stderr.String())
	}
}

func TestDefaultFolder(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	if got, want := homeFolder(), "/home/somebody/.ipfs-cluster"; got != want {
		t.Errorf("folder is %s, want %s", got, want)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, `running ipfs-cluster-service: no command given, see the list above`},
		{[]string{"demon"}, `running ipfs-cluster-service: there is no command "demon", see ipfs-cluster-service --help`},
		{[]string{"state", "exprt"}, `running ipfs-cluster-service state: there is no command "exprt", see ipfs-cluster-service state --help`},
		{[]string{"--confg"}, `reading the command line: flag provided but not defined: -confg, see ipfs-cluster-service --help`},
		{[]string{"init", "--stat"}, `reading the command line: flag provided but not defined: -stat, see ipfs-cluster-service init --help`},
		{[]string{"state", "import", "--rmin", "x"}, `reading the command line: invalid value "x" for flag -rmin: parse error, see ipfs-cluster-service state import --help`},
		{[]string{"--config", "", "version"}, `finding the configuration folder: there is no home folder, use --config`},
		{[]string{"--loglevel", "a:b:c", "version"}, `setting the log level: "a:b:c" is neither "level" nor "component:level"`},
		{[]string{"--loglevel", "crdt:loud", "version"}, `setting the log level of crdt: "loud" is unknown, use debug, info, warn or error`},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			checkRefused(t, run(t, t.TempDir(), "", tc.args...), tc.want)
		})
	}
}

func TestVersion(t *testing.T) {
	first, second, _ := strings.Cut(mustRun(t, t.TempDir(), "version").stdout, "\n")
	if first != version.Version.String() {
		t.Errorf("first line is %q, want upstream's %q", first, version.Version)
	}
	if !strings.HasPrefix(second, "ipfs-cluster-scylla ") {
		t.Errorf("second line is %q, want ipfs-cluster-scylla and a version", second)
	}
}

func TestHelpNamesTheEnvironment(t *testing.T) {
	help := mustRun(t, t.TempDir(), "--help").stdout
	for _, want := range []string{"CLUSTER_SCYLLA_HOSTS", "CLUSTER_SCYLLA_PASSWORD", "IPFS_CLUSTER_PATH", "IPFS_CLUSTER_LOG_LEVEL"} {
		if !strings.Contains(help, want) {
			t.Errorf("the help does not name %s", want)
		}
	}
}

func TestLogLevels(t *testing.T) {
	overall, byComponent, err := parseLogLevels("debug, crdt:error,all:warn,crdt:info,")
	if err != nil {
		t.Fatal(err)
	}
	if overall != "warn" || !reflect.DeepEqual(byComponent, map[string]string{"crdt": "info"}) {
		t.Errorf("got %s and %v", overall, byComponent)
	}
	for _, name := range []string{"critical", "error", "warning", "notice", "info", "debug", "WARN"} { // upstream's help
		if err := setLevel("service", name); err != nil {
			t.Error(err)
		}
	}
}

// A logger that is renamed would stay at the level of the library.
func TestOwnFacilitiesExist(t *testing.T) {
	names := make(map[string]bool)
	for _, name := range logging.GetSubsystems() {
		names[name] = true
	}
	for _, name := range ownFacilities() {
		if !names[name] {
			t.Errorf("there is no logger %q", name)
		}
	}
}
