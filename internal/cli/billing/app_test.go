package billing

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

func TestMain(m *testing.M) {
	// The environment of who runs the tests must not configure the services.
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, config.Prefix) {
			if err := os.Unsetenv(name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(cqltest.Main(m))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcome is what a run of the command left.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the command with its configuration in a folder.
func run(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{programName, "--config", filepath.Join(folder, config.FileName), "--loglevel", "fatal"}, args...)
	code := Main(all, strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// mustRun fails the test unless the command exits with 0.
func mustRun(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	got := run(t, folder, args...)
	if got.code != 0 {
		t.Fatalf("%v: exit code %d, want 0; stderr:\n%s", args, got.code, got.stderr)
	}
	return got
}

// initialized returns a folder in which init was run.
func initialized(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	mustRun(t, folder, "init")
	return folder
}

// refusal is a command that fails, and how.
type refusal struct {
	args []string
	// want is what the one error says, with DIR in place of the folder.
	want string
	code int // 0 means 1
}

// checkRefused runs commands in a folder: each has its exit code, and writes one error.
func checkRefused(t *testing.T, folder string, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		got := run(t, folder, r.args...)
		if r.code == 0 {
			r.code = 1
		}
		if stderr := strings.ReplaceAll(got.stderr, folder, "DIR"); got.code != r.code || stderr != "error "+r.want+"\n" || got.stdout != "" {
			t.Errorf("%v: exit code %d, want %d; stderr is\n%swant\nerror %s\nstdout is %q", r.args, got.code, r.code, stderr, r.want, got.stdout)
		}
	}
}

func writeFile(t *testing.T, text string, elem ...string) string {
	t.Helper()
	name := filepath.Join(elem...)
	must(t, os.MkdirAll(filepath.Dir(name), 0o700))
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

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

// TestUsageErrors needs no database: what is wrong is told before one is asked.
func TestUsageErrors(t *testing.T) {
	folder := initialized(t)
	t.Setenv("PIN_BILLING_DATABASE_PORT", "1") // nobody's
	checkRefused(t, folder, []refusal{
		{args: []string{"sreve"}, want: `running pin-billing: there is no command "sreve", see pin-billing --help`},
		{args: []string{"--confg"}, want: `reading the command line: flag provided but not defined: -confg, see pin-billing --help`},
		{args: []string{"usage"}, want: `reading the arguments: name the owner, see pin-billing usage --help`},
		{args: []string{"usage", "acme", "globex"}, want: `reading the arguments: "globex" is one too many, see pin-billing usage --help`},
		{args: []string{"usage", "--from", "yesterday", "acme"}, want: `reading --from: "yesterday" is not a day, such as 2026-12-01`},
		{args: []string{"usage", "--to", "2026-12-1", "acme"}, want: `reading --to: "2026-12-1" is not a day, such as 2026-12-01`},
		{args: []string{"usage", "--from", "2026-12-02", "--to", "2026-12-01", "acme"}, want: `reading the command line: --from 2026-12-02 is after --to 2026-12-01`},
		{args: []string{"usage", "--form", "2026-12-02", "acme"}, want: `reading the command line: flag provided but not defined: -form, see pin-billing usage --help`},
		{args: []string{"explain"}, want: `reading the arguments: name the owner, see pin-billing explain --help`},
		{args: []string{"explain", "--day", "x", "acme"}, want: `reading --day: "x" is not a day, such as 2026-12-01`},
		{args: []string{"close", "now"}, want: `reading the arguments: "now" is not one, see pin-billing close --help`},
		{args: []string{"recompute", "all"}, want: `reading the arguments: "all" is not one, see pin-billing recompute --help`},
		{args: []string{"reconcile", "all"}, want: `reading the arguments: "all" is not one, see pin-billing reconcile --help`},
		{args: []string{"serve", "now"}, want: `reading the arguments: "now" is not one, see pin-billing serve --help`},
		{args: []string{"version", "all"}, want: `reading the arguments: "all" is not one, see pin-billing version --help`},
		{args: []string{"config", "check"}, want: `reading the arguments: "check" is not one, see pin-billing config --help`},
		{args: []string{"plan", "lnt"}, want: `running pin-billing plan: there is no command "lnt", see pin-billing plan --help`, code: 3},
		{args: []string{"plan", "lint"}, want: filepath.Join("DIR", config.FileName) + ` has no plans.folder: name a folder`},
		{args: []string{"plan", "lint", "a", "b"}, want: `reading the arguments: "b" is one too many, see pin-billing plan lint --help`},
		{args: []string{"help", "lnt"}, want: `No help topic for 'lnt'`, code: 3},
		{args: []string{"--loglevel", "loud", "version"}, want: `setting the log level: "loud" is neither "level" nor "component:level", with debug, info, warn or error as the level`},
	})
	checkRefused(t, t.TempDir(), []refusal{{args: []string{"serve"}, want: `there is no configuration DIR/pin-billing.json: "pin-billing init" writes one, --config names another`}})
	var stdout, stderr bytes.Buffer
	if code := Main([]string{programName}, nil, &stdout, &stderr); code != 1 || !strings.Contains(stdout.String(), "COMMANDS:") ||
		stderr.String() != "error running pin-billing: no command given, see the list above\n" {
		t.Errorf("without a command: %d, %s", code, &stderr)
	}
}

func TestVersion(t *testing.T) {
	got := mustRun(t, t.TempDir(), "version").stdout
	if !regexp.MustCompile("^pin-billing \\S+\n" + regexp.QuoteMeta(runtime.Version()) + "\n$").MatchString(got) {
		t.Errorf("version prints %q", got)
	}
}

// TestInit: what init writes is for its owner alone, is good, and is never overwritten.
func TestInit(t *testing.T) {
	folder := initialized(t)
	for _, name := range []string{config.FileName, "gateway-token", "operator-token"} {
		info, err := os.Stat(filepath.Join(folder, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
	mustRun(t, folder, "config", "--check")
	shown := mustRun(t, folder, "config").stdout
	secret, err := os.ReadFile(filepath.Join(folder, "gateway-token"))
	must(t, err)
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	if !strings.Contains(shown, `"since": "`+tomorrow+`T00:00:00Z"`) || !strings.Contains(shown, `"token_file": "gateway-token"`) || strings.Contains(shown, strings.TrimSpace(string(secret))) {
		t.Errorf("config shows %s", shown)
	}
	checkRefused(t, folder, []refusal{{args: []string{"init"}, want: "DIR/pin-billing.json is there already: nothing was written, remove it if it is not needed"}})
	must(t, os.Chmod(filepath.Join(folder, "gateway-token"), 0o644))
	must(t, os.Remove(filepath.Join(folder, "operator-token")))
	want := `2 settings are wrong:
  token_file names DIR/gateway-token, which everybody on this machine may use (mode 0644): chmod o= DIR/gateway-token
  operator_token_file names DIR/operator-token, which does not exist: correct the name, or make the file`
	checkRefused(t, folder, []refusal{
		{args: []string{"config", "--check"}, want: "DIR/pin-billing.json: " + want},
		{args: []string{"serve"}, want: "reading the files of the configuration: " + want},
	})
}

func TestPlan(t *testing.T) {
	folder := initialized(t)
	text, err := os.ReadFile("../../../billing/plan/example/standard-1.yaml")
	must(t, err)
	writeFile(t, string(text), folder, "plans", "standard-1.yaml")
	if got := mustRun(t, folder, "plan", "lint", filepath.Join(folder, "plans")); got.stdout != "" || got.stderr != "price lists that can be used: 1\n" {
		t.Errorf("%+v", got)
	}
	t.Setenv("PIN_BILLING_PLANS_FOLDER", "plans")
	if got := mustRun(t, folder, "plan", "show").stdout; !regexp.MustCompile(`^PLAN .*\nstandard +1 +2026-12-01 +USD +[0-9a-f]{12}\n$`).MatchString(got) {
		t.Errorf("the plans are\n%s", got)
	}
	if got := mustRun(t, folder, "plan", "show", "standard").stdout; !strings.HasPrefix(got, "{") || !strings.Contains(got, `"0.015"`) {
		t.Errorf("the plan is\n%s", got)
	}
	checkRefused(t, folder, []refusal{
		{args: []string{"plan", "show", "gold"}, want: `showing a price list: there is no plan "gold"`},
		{args: []string{"plan", "show", "--version", "2", "standard"}, want: `showing a price list: there is no version 2 of the plan "standard"`},
	})
	writeFile(t, strings.Replace(string(text), `"0.02"`, "0.02", 1), folder, "plans", "standard-1.yaml")
	if got := run(t, folder, "plan", "lint"); got.code != 2 || !strings.Contains(got.stdout, "standard-1.yaml:") || got.stderr != "error checking the price lists: mistakes that were found: 1\n" {
		t.Errorf("%+v", got)
	}
}
