package service

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"
)

// TestUsageErrorOfEveryCommand looks for commands whose help would bury what is
// wrong. TestFlagsOfStock of package e2e compares their flags with upstream's.
func TestUsageErrorOfEveryCommand(t *testing.T) {
	var walk func(prefix string, commands []cli.Command)
	walk = func(prefix string, commands []cli.Command) {
		for _, c := range commands {
			if c.OnUsageError == nil {
				t.Errorf("command %s has no OnUsageError", prefix+c.Name)
			}
			walk(prefix+c.Name+" ", c.Subcommands)
		}
	}
	walk("", (&command{}).app().Commands)
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

// A folder that is set to nothing is the current one.
func TestEmptyFolder(t *testing.T) {
	for _, env := range []bool{false, true} {
		folder := t.TempDir()
		t.Chdir(folder)
		if env {
			t.Setenv("IPFS_CLUSTER_PATH", "")
			var stderr bytes.Buffer
			if code := Main([]string{programName, "--loglevel", "fatal", "init"}, strings.NewReader(""), &stderr, &stderr); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr.String())
			}
		} else {
			mustRun(t, "", "init")
		}
		if _, err := os.Stat(filepath.Join(folder, "service.json")); err != nil {
			t.Errorf("by the environment %t: %v", env, err)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, `running ipfs-cluster-service: no command given, see the list above`},
		{[]string{"demon"}, `running ipfs-cluster-service: there is no command "demon", see ipfs-cluster-service --help`},
		{[]string{"--confg"}, `reading the command line: flag provided but not defined: -confg, see ipfs-cluster-service --help`},
		{[]string{"init", "--stat"}, `reading the command line: flag provided but not defined: -stat, see ipfs-cluster-service init --help`},
		{[]string{"state", "import", "--rmin", "x"}, `reading the command line: invalid value "x" for flag -rmin: parse error, see ipfs-cluster-service state import --help`},
		{[]string{"state", "crdt", "--fil"}, `reading the command line: flag provided but not defined: -fil, see ipfs-cluster-service state crdt --help`},
		{[]string{"state", "crdt", "dot", "--fil"}, `reading the command line: flag provided but not defined: -fil, see ipfs-cluster-service state crdt dot --help`},
		{[]string{"--loglevel", "a:b:c", "version"}, `setting the log level: "a:b:c" is neither "level" nor "component:level"`},
		{[]string{"--loglevel", "crdt:loud", "version"}, `setting the log level of crdt: "loud" is unknown, use debug, info, warn or error`},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			checkRefused(t, run(t, t.TempDir(), "", tc.args...), tc.want)
		})
	}
}

// A name that there is no command or no help for has an exit code of its own.
func TestUnknownNames(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"state", "exprt"}, `running ipfs-cluster-service state: there is no command "exprt", see ipfs-cluster-service state --help`},
		{[]string{"state", "crdt", "nfo"}, `running ipfs-cluster-service state crdt: there is no command "nfo", see ipfs-cluster-service state crdt --help`},
		{[]string{"help", "demon"}, `No help topic for 'demon'`},
	} {
		got := run(t, t.TempDir(), "", tc.args...)
		if got.code != 3 || got.stderr != "error "+tc.want+"\n" {
			t.Errorf("%v: exit code %d, want 3; stderr is\n%swant\nerror %s", tc.args, got.code, got.stderr, tc.want)
		}
	}
}

func TestVersion(t *testing.T) {
	one := mustRun(t, t.TempDir(), "version").stdout
	if want := version.Version.String() + "\n"; one != want {
		t.Errorf("version prints %q, want upstream's %q", one, want)
	}
	all := mustRun(t, t.TempDir(), "version", "--all").stdout
	want := regexp.MustCompile("^" + regexp.QuoteMeta(one) + "ipfs-cluster-scylla \\S+\n" + regexp.QuoteMeta(runtime.Version()) + "\n$")
	if !want.MatchString(all) {
		t.Errorf("version --all prints %q, want three lines like %s", all, want)
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
