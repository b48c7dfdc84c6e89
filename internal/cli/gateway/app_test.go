package gateway

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

// TestUsageErrorOfEveryCommand looks for commands whose help would bury what is wrong.
func TestUsageErrorOfEveryCommand(t *testing.T) {
	var walk func(prefix string, commands []cli.Command)
	walk = func(prefix string, commands []cli.Command) {
		for _, c := range commands {
			if c.OnUsageError == nil || c.Usage == "" {
				t.Errorf("command %s has no OnUsageError or no usage", prefix+c.Name)
			}
			walk(prefix+c.Name+" ", c.Subcommands)
		}
	}
	walk("", (&command{}).app().Commands)
}

func TestUsageErrors(t *testing.T) {
	checkRefused(t, t.TempDir(), []refusal{
		{args: []string{"sreve"}, want: `running pin-gateway: there is no command "sreve", see pin-gateway --help`},
		{args: []string{"--confg"}, want: `reading the command line: flag provided but not defined: -confg, see pin-gateway --help`},
		{args: []string{"audit", "verify", "--folders", "x"}, want: `reading the command line: flag provided but not defined: -folders, see pin-gateway audit verify --help`},
		{args: []string{"audit", "search", "--limit", "x"}, want: `reading the command line: invalid value "x" for flag -limit: parse error, see pin-gateway audit search --help`},
		{args: []string{"policy", "chek"}, want: `running pin-gateway policy: there is no command "chek", see pin-gateway policy --help`, code: 3},
		{args: []string{"help", "chek"}, want: `No help topic for 'chek'`, code: 3},
		{args: []string{"--loglevel", "loud", "version"}, want: `setting the log level: "loud" is neither "level" nor "component:level", with debug, info, warn or error as the level`},
		{args: []string{"--loglevel", "info,gateway:loud", "version"}, want: `setting the log level: "gateway:loud" is neither "level" nor "component:level", with debug, info, warn or error as the level`},
		{args: []string{"version", "all"}, want: `reading the arguments: "all" is not one, see pin-gateway version --help`},
		{args: []string{"serve", "now"}, want: `reading the arguments: "now" is not one, see pin-gateway serve --help`},
		{args: []string{"audit", "verify", "DIR"}, want: `reading the arguments: "DIR" is not one, see pin-gateway audit verify --help`},
	})
	var stdout, stderr bytes.Buffer
	if code := Main([]string{programName}, nil, &stdout, &stderr); code != 1 || !strings.Contains(stdout.String(), "COMMANDS:") ||
		stderr.String() != "error running pin-gateway: no command given, see the list above\n" {
		t.Errorf("without a command: %d, %s", code, &stderr)
	}
}

func TestVersion(t *testing.T) {
	got := mustRun(t, t.TempDir(), "", "version").stdout
	if !regexp.MustCompile("^pin-gateway \\S+\n" + regexp.QuoteMeta(runtime.Version()) + "\n$").MatchString(got) {
		t.Errorf("version prints %q", got)
	}
}

// TestInit: what init writes is for its owner alone, is good, and is never overwritten.
func TestInit(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "etc", "pin-gateway")
	got := mustRun(t, folder, "", "init")
	names := []string{config.FileName, "pepper-1", "session-1.pem", "audit.pem", "audit-public.pem"}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(folder, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 || !strings.Contains(got.stderr, "written: "+filepath.Join(folder, name)+"\n") {
			t.Errorf("%s has the mode %v, and the command says\n%s", name, info.Mode(), got.stderr)
		}
	}
	if got.stdout != "" || strings.Contains(got.stderr, strings.TrimSpace(readFile(t, folder, "pepper-1"))) {
		t.Errorf("init prints %q and %q", got.stdout, got.stderr)
	}
	mustRun(t, folder, "", "config", "--check")

	// Whichever is there already, nothing is written, and nothing of it is lost.
	for _, there := range names {
		other := t.TempDir()
		writeFile(t, "mine", other, there)
		checkRefused(t, other, []refusal{{args: []string{"init"}, want: filepath.Join("DIR", there) + " is there already: nothing was written, remove it if it is not needed"}})
		entries, err := os.ReadDir(other)
		must(t, err)
		if len(entries) != 1 || readFile(t, other, there) != "mine" {
			t.Errorf("with %s there, init leaves %v", there, entries)
		}
	}
}

func TestConfig(t *testing.T) {
	folder := initialized(t)
	t.Setenv("PIN_GATEWAY_PEERS_URLS", "http://peer1:9094")
	got := mustRun(t, folder, "", "config")
	for _, want := range []string{`"http://peer1:9094"`, `"file": "pepper-1"`, `"key_file": "audit.pem"`, `"request_timeout": "10s"`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%s is not in\n%s", want, got.stdout)
		}
	}
	for _, secret := range []string{"pepper-1", "session-1.pem", "audit.pem"} {
		if strings.Contains(got.stdout, strings.Split(readFile(t, folder, secret), "\n")[0]) {
			t.Errorf("what is in %s is shown", secret)
		}
	}
	// What is shown is a configuration, the same.
	writeFile(t, got.stdout, folder, config.FileName)
	if again := mustRun(t, folder, "", "config"); again.stdout != got.stdout {
		t.Errorf("what is shown is read as\n%s", again.stdout)
	}
	if got := mustRun(t, folder, "", "config", "--check"); got.stdout != "" {
		t.Errorf("--check shows %s", got.stdout)
	}
	must(t, os.Chmod(filepath.Join(folder, "pepper-1"), 0o644))
	must(t, os.Remove(filepath.Join(folder, "audit.pem")))
	checkRefused(t, folder, []refusal{
		{args: []string{"config", "--check"}, want: `DIR/pin-gateway.json: 2 settings are wrong:
  audit.key_file names DIR/audit.pem, which does not exist: correct the name, or make the file
  api_keys.peppers[0].file names DIR/pepper-1, which everybody on this machine may use (mode 0644): chmod o= DIR/pepper-1`},
		{args: []string{"serve"}, want: `reading the files of the configuration: 2 settings are wrong:
  audit.key_file names DIR/audit.pem, which does not exist: correct the name, or make the file
  api_keys.peppers[0].file names DIR/pepper-1, which everybody on this machine may use (mode 0644): chmod o= DIR/pepper-1`},
	})
	writeFile(t, `{"listen": ":0", "environment": "x"}`, folder, config.FileName)
	for _, name := range []string{"config", "serve"} {
		checkRefused(t, folder, []refusal{{args: []string{name}, want: `DIR/pin-gateway.json: 4 settings are wrong:
  environment "x" is unknown: use "live" or "test"
  issuers is empty, and there is nothing else by which anybody could come: set issuers, api_keys, did or siwe
  audit.folder is empty and audit.table is false, so that nothing is recorded: set one of them
  audit.key_file is empty: name a file with a key, which signs checkpoints of the records`}})
	}
}

// TestConfigByVariable: PIN_GATEWAY_CONFIG is --config.
func TestConfigByVariable(t *testing.T) {
	folder := initialized(t)
	t.Setenv(config.FileVariable, filepath.Join(folder, config.FileName))
	t.Setenv(config.LevelVariable, "fatal")
	var stdout, stderr bytes.Buffer
	if code := Main([]string{programName, "config", "--check"}, nil, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	other := t.TempDir()
	checkRefused(t, other, []refusal{{args: []string{"config"}, want: `there is no configuration DIR/pin-gateway.json: "pin-gateway init" writes one, --config names another`}})
}
