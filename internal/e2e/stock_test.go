package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// addition is a flag or a subcommand of ours that stock does not have.
type addition struct {
	command, entry, reason string
}

// additions are all of them.
var additions = []addition{
	{"", "events", "what becomes of pins and peers, told on NATS; see docs/receiving-events.md"},
	{"", "migrate", "brings the pinset of another cluster in, and back; see docs/migration.md"},
	{"init", "--state value", "the choice that this project adds; --consensus keeps its values"},
	{"daemon", `--role value (default: "full") [$CLUSTER_ROLE]`, "peers of a shared pinset need not all hold pins; see docs/roles.md"},
	{"version", "--all", "version prints one line as under stock, so that ours needs a place"},
	{"", "debug", "profiles and a bundle of a daemon, for who looks into it; see docs/admin.md"},
	{"state", "drift", "how far IPFS is from the pinset; see docs/peers.md"},
	{"state", "adopt", "a keyspace belongs to one cluster; to change that is a decision"},
	{"state import", "--keyspace NAME", "confirms by name what all peers share; only for scylla"},
	{"state cleanup", "--keyspace NAME", "as above"},
}

// hidden are the flags that help texts do not show, with their aliases.
var hidden = map[string][]string{"daemon": {"--leave", "-x"}}

// TestFlagsOfStock compares the help of every command: subcommands, flags,
// aliases, environment variables and default values are those of stock.
func TestFlagsOfStock(t *testing.T) {
	t.Parallel()
	home := t.TempDir()                             // default values are in it
	mustRun(t, command(t, stock, home, "", "init")) // stock shows the help of state crdt to such a peer only
	theirs, ours := readHelp(t, stock, home), readHelp(t, service, home)
	for _, add := range additions {
		lines := ours[add.command]
		if i := slices.Index(lines, add.entry); i >= 0 {
			ours[add.command] = slices.Delete(lines, i, i+1)
		} else {
			t.Errorf("help of %q has no %q, which is listed as an addition", add.command, add.entry)
		}
		// What an added command has is its own, and so are its subcommands.
		added := strings.TrimSpace(add.command + " " + add.entry)
		maps.DeleteFunc(ours, func(path string, _ []string) bool { return path == added || strings.HasPrefix(path, added+" ") })
	}
	if a, b := slices.Sorted(maps.Keys(theirs)), slices.Sorted(maps.Keys(ours)); !slices.Equal(a, b) {
		t.Errorf("ours has the commands %q, stock has %q", b, a)
	}
	for path, want := range theirs {
		if got := ours[path]; !slices.Equal(got, want) {
			t.Errorf("help of %q has\n  %s\nthat of stock\n  %s", path, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}

	// The sources of stock say how many flags there are.
	dir := strings.TrimSpace(mustRun(t, exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service")).stdout)
	text, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	inSource := len(regexp.MustCompile(`cli\.[A-Z]\w+Flag{`).FindAll(text, -1))
	shown := 0
	for _, lines := range theirs {
		for _, line := range lines {
			if strings.HasPrefix(line, "--") && line != "--help, -h" && line != "--version, -v" {
				shown++
			}
		}
	}
	if inSource != shown+len(hidden) {
		t.Errorf("stock has %d flags in its sources, %d in its help, and %d are listed as hidden", inSource, shown, len(hidden))
	}
	for path, names := range hidden {
		for _, name := range names {
			for _, program := range []string{stock, service} {
				got := run(t, command(t, program, home, "", path, name, "--help"))
				if got.code != 0 || !strings.HasPrefix(got.stdout, "NAME:") {
					t.Errorf("%s %s %s --help: exit code %d, want 0 and the help:\n%s%s", program, path, name, got.code, got.stdout, got.stderr)
				}
			}
		}
	}
}

// readHelp returns what the help of each command lists: a subcommand with its
// aliases, a flag with its aliases, default value and environment variables.
func readHelp(t *testing.T, program, home string) map[string][]string {
	t.Helper()
	pages := make(map[string][]string)
	line := regexp.MustCompile(`^   (\S.*?)(?:  +(.*))?$`)
	facts := regexp.MustCompile(`\(default: .*?\)|\[\$.*?\]`)
	var read func(path []string)
	read = func(path []string) {
		var entries []string
		section := ""
		for _, text := range strings.Split(mustRun(t, command(t, program, home, "", append(path, "--help")...)).stdout, "\n") {
			if !strings.HasPrefix(text, " ") {
				section = strings.TrimPrefix(text, "GLOBAL ")
				continue
			}
			match := line.FindStringSubmatch(text)
			if match == nil {
				continue
			}
			names, usage := match[1], match[2]
			switch section {
			case "COMMANDS:":
				entries = append(entries, names)
				if name, _, _ := strings.Cut(names, ","); name != "help" {
					read(append(slices.Clone(path), name))
				}
			case "OPTIONS:":
				entries = append(entries, strings.Join(append([]string{names}, facts.FindAllString(usage, -1)...), " "))
			}
		}
		slices.Sort(entries)
		pages[strings.Join(path, " ")] = entries
	}
	read(nil)
	return pages
}

// command is a command line of stock or of ours with a home of its own.
func command(t *testing.T, name, home, stdin string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	cmd.Env = environ(home, nil)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir = home
	return cmd
}

// TestOutcomesOfStock compares what a script sees of a command line: the exit
// code, stdout, and what stderr says besides the log. The texts of errors and
// of help are our own.
func TestOutcomesOfStock(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const pin = `{"cid":"QmaNJ5acV31sx8jq626qTpAWW4DXKw34aGhx53dECLvXbY"}` + "\n"
	const everywhere = `{"cid":"QmaNJ5acV31sx8jq626qTpAWW4DXKw34aGhx53dECLvXbY","replication_factor_min":-1,"replication_factor_max":-1}` + "\n"
	const address = "/ip4/192.0.2.1/tcp/9096/p2p/QmPSoSaPXpyunaBwHs1rZBKYSqRV4bLRk32VGYLuvdrypL"
	type comparison struct {
		args  string
		inits string // arguments of a run before; none if empty
		stdin string
		// differs says why what a script sees is not that of stock.
		differs      string
		theirs, ours string // what a script sees
	}
	var tests []*comparison
	for _, test := range []comparison{
		{args: "version"},
		{args: "version more"},
		{args: "--version"},
		{args: "-v"},
		{args: "--loglevel info,crdt:debug version"},
		{args: "--config= version"},
		{args: "--help"},
		{args: "help"},
		{args: "h"},
		{args: "help init"},
		{args: "init -h"},
		{args: "state"},
		{args: "state help export"},
		{args: "state crdt --help"},
		{args: "init"},
		{args: "-d init"},
		{args: "-c . init --randomports --consensus raft"},
		{args: "init --peers " + address},
		{args: "init http://127.0.0.1:1/service.json"},
		{args: "init -s", stdin: secret + "\n"},
		{args: "init -s", stdin: "secret\n"},
		{args: "init --consensus paxos"},
		{args: "init --datastore tape"},
		{args: "init --peers nobody"},
		{args: "init", inits: "init", stdin: "n\n"},
		{args: "init", inits: "init", stdin: "y\n"},
		{args: "init", inits: "init"},
		{args: "init -f", inits: "init"},
		{args: "daemon"},
		{args: "daemon --bootstrap nobody", inits: "init"},
		{args: "state export"},
		{args: "state export", inits: "init"},
		{args: "state export -f nowhere/pins", inits: "init"},
		{args: "state import", inits: "init", stdin: "n\n"},
		{args: "state import -f", inits: "init", stdin: pin},
		{args: "state import -f --rmin 1 --rmax 2 --allocs QmPSoSaPXpyunaBwHs1rZBKYSqRV4bLRk32VGYLuvdrypL", inits: "init --consensus raft", stdin: pin},
		{args: "state import -f", inits: "init", stdin: "no pins"},
		{args: "state import -f nowhere", inits: "init"},
		{args: "state cleanup", inits: "init"},
		{args: "state cleanup", inits: "init --consensus raft", stdin: "y\n"},
		{args: "state cleanup --force", inits: "init"},
		{args: "-f init", inits: "init"},
		{args: "-f state import", inits: "init"},
		{args: "-f state cleanup", inits: "init"},
		{args: "state import -f --rmin 2", inits: "init", stdin: everywhere},
		{args: "state crdt info"},
		{args: "state crdt info", inits: "init --datastore leveldb"},
		{args: "state crdt dot", inits: "init"},
		{args: "state crdt mark-dirty", inits: "init"},
		{args: "state crdt mark-clean", inits: "init"},
		{args: "state crdt info", inits: "init --consensus raft"},
		{args: "help demon"},
		{args: "state help exprt"},
		{args: "state exprt"},
		{args: "state crdt nfo", inits: "init"},

		{args: "", differs: "stderr says why the exit code is 1; stdout is the help under both"},
		{args: "demon", differs: "stderr names the mistake instead of the help on stdout"},
		{args: "--bogus", differs: "an unknown flag is an error; stock exits with 0 without having done anything"},
		{args: "init --bogus", differs: "as above"},
		{args: "state --bogus", differs: "as above"},
		{args: "--loglevel a:b:c version", differs: "as above"},
		{args: "--loglevel loud version", differs: "a level that does not exist is an error; stock runs with another level"},
		{args: "init --peers /ip4/192.0.2.1/tcp/9096", differs: "fails before it writes files, not after"},
	} {
		tests = append(tests, &test)
	}
	// Most of them wait for a second: many at a time.
	limit := make(chan struct{}, 8)
	var group sync.WaitGroup
	for _, test := range tests {
		for name, result := range map[string]*string{stock: &test.theirs, service: &test.ours} {
			binary := program(t, name)
			run := func() (string, error) {
				s := script{program: binary, home: t.TempDir(), stdin: test.stdin, inits: test.inits, args: test.args}
				return s.run()
			}
			group.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				seen, err := run()
				// Commands on a crdt state close pebble at their end while upstream's
				// crdt may still be writing to it: on a busy machine they crash.
				for tries := 1; err != nil && strings.Contains(err.Error(), "pebble: closed") && tries < 5; tries++ {
					t.Logf("%s %q %q, once more: %v", name, test.inits, test.args, err)
					seen, err = run()
				}
				if err != nil {
					t.Errorf("%s %q %q: %v", name, test.inits, test.args, err)
				}
				*result = seen
			})
		}
	}
	group.Wait()
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s %.7q", test.inits, test.args, test.stdin), func(t *testing.T) {
			switch {
			case test.differs == "" && test.ours != test.theirs:
				t.Errorf("ours leaves\n%s\nstock leaves\n%s", test.ours, test.theirs)
			case test.differs != "" && test.ours == test.theirs:
				t.Errorf("both leave the following, so that it is not true that %q\n%s", test.differs, test.ours)
			case test.differs != "" && !strings.HasPrefix(test.ours, "exit code 1\n"):
				t.Errorf("ours leaves\n%s\nwant exit code 1", test.ours)
			}
		})
	}
}

// script is a command line in a new folder.
type script struct {
	program, home, stdin string
	inits                string // arguments of a run before
	args                 string
}

// run tells what a script sees of the command line, and which files are there
// then.
func (s *script) run() (seen string, err error) {
	if s.inits != "" {
		got, err := s.outcome(s.inits, "")
		if err != nil {
			return "", err
		}
		if got.code != 0 {
			return "", fmt.Errorf("%s: exit code %d\n%s", s.inits, got.code, got.stderr)
		}
	}
	got, err := s.outcome(s.args, s.stdin)
	if err != nil {
		return "", err
	}
	if found := crash.FindString(got.stderr); found != "" {
		return "", fmt.Errorf("a crash: %s", found)
	}
	if strings.HasPrefix(got.stdout, "NAME:") {
		got.stdout = "HELP"
	}
	var stderr []string
	logLine := regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
	for _, line := range strings.Split(got.stderr, "\n") {
		if !logLine.MatchString(line) {
			stderr = append(stderr, line)
		}
	}
	if got.code != 0 && got.stderr != "" {
		stderr = []string{"ERROR"}
	}
	files, err := filepath.Glob(filepath.Join(s.home, ".ipfs-cluster", "*"))
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("exit code %d\nstdout %q\nstderr %q\nfiles %q", got.code, got.stdout, stderr, files)
	return strings.ReplaceAll(text, s.home, "HOME"), nil
}

func (s *script) outcome(args, stdin string) (outcome, error) {
	cmd := exec.Command(s.program, strings.Fields(args)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir = environ(s.home, nil), s.home
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	p, err := child.Start(cmd)
	if err != nil {
		return outcome{}, err
	}
	timer := time.AfterFunc(runTimeout, p.Kill)
	defer timer.Stop()
	if err := p.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return outcome{}, err
	}
	return outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}, nil
}
