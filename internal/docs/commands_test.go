package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommands looks at the commands in the pages, in fenced blocks and in
// inline code, and at the environment variables: what they name must exist.
func TestCommands(t *testing.T) {
	pages := readPages(t)
	known := readKnown(t, pages)
	commands := 0
	for _, p := range pages {
		if p.isHistory() {
			continue
		}
		commands += len(p.commands())
		for _, problem := range known.checkPage(p) {
			t.Errorf("%s:%d: %s", p.name, problem.line, problem.text)
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands were found: they were not checked", commands)
	}
}

// known is what commands may name.
type known struct {
	targets  map[string]bool // of make
	binaries map[string]bool // that make builds, as "bin/x"
	service  *subcommand
	// variables of the environment.
	variables map[string]bool
}

func readKnown(t *testing.T, pages []page) known {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	k := known{
		targets:   makeTargets(string(makefile)),
		binaries:  make(map[string]bool),
		service:   readService(t),
		variables: readVariables(t, pages),
	}
	for _, m := range regexp.MustCompile(`-o (?:\.\./)*(bin/[\w-]+)`).FindAllStringSubmatch(string(makefile), -1) {
		k.binaries[m[1]] = true
	}
	if !k.targets["test"] || !k.binaries["bin/ipfs-cluster-service"] {
		t.Fatalf("the Makefile was not understood: targets %v, binaries %v", k.targets, k.binaries)
	}
	return k
}

func makeTargets(makefile string) map[string]bool {
	out := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9 -]*):(?:[^=]|$)`).FindAllStringSubmatch(makefile, -1) {
		for _, name := range strings.Fields(m[1]) {
			out[name] = true
		}
	}
	return out
}

// checkPage returns what the page names that does not exist.
func (k known) checkPage(p page) []place {
	var problems []place
	for _, line := range p.commands() {
		for _, problem := range k.checkLine(line.text) {
			problems = append(problems, place{line.line, problem})
		}
	}
	for _, v := range p.variables() {
		if !k.hasVariable(v.text) {
			problems = append(problems, place{v.line, "no code reads the environment variable " + v.text})
		}
	}
	for _, par := range p.paragraphs() {
		if strings.Count(par.text, "`")%2 != 0 {
			problems = append(problems, place{par.line, "a backtick has no other: what is code here is not known"})
		}
	}
	return problems
}

// checkLine returns what is wrong with a line of the shell.
func (k known) checkLine(line string) []string {
	var problems []string
	for _, words := range shellCommands(line) {
		program, args := words[0], words[1:]
		if strings.HasPrefix(program, "bin/") && !k.binaries[program] {
			problems = append(problems, fmt.Sprintf("%s: make does not build it", program))
		}
		var err error
		switch strings.TrimPrefix(program, "bin/") {
		case "make":
			err = k.checkMake(args)
		case "go":
			err = checkGo(args)
		case "ipfs-cluster-service":
			err = k.service.check(args)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", strings.Join(words, " "), err))
		}
	}
	return problems
}

func (k known) checkMake(args []string) error {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "=") && !isPlaceholder(arg) && !k.targets[arg] {
			return fmt.Errorf("the Makefile has no target %s", arg)
		}
	}
	return nil
}

// checkGo looks at the directories that a go command names, and at the tests
// that it chooses from them.
func checkGo(args []string) error {
	chosen := ""
	for i, arg := range args {
		if m := regexp.MustCompile(`^-(?:run|fuzz)=?(.*)`).FindStringSubmatch(arg); m != nil {
			if chosen = m[1]; chosen == "" && i+1 < len(args) {
				chosen = args[i+1]
			}
			chosen = strings.Trim(chosen, `'"^$`)
		}
	}
	for _, arg := range args {
		if !strings.HasPrefix(arg, "./") {
			continue
		}
		dir, below := strings.CutSuffix(path.Clean(arg), "/...")
		if arg == "./..." {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*.go"))
		if err != nil || len(files) == 0 && !below {
			return fmt.Errorf("there is no package %s", arg)
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir))); err != nil {
			return fmt.Errorf("there is no directory %s", dir)
		}
		if chosen == "" || below {
			continue
		}
		for _, test := range strings.Split(chosen, "|") {
			if err := checkTest(dir, test); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestCommandRulesCanFail(t *testing.T) {
	pages := readPages(t)
	known := readKnown(t, pages)
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{"`make`", true},
		{"`make test`", true},
		{"`make tset`", false},
		{"`make check test`", true},
		{"`make check tset`", false},
		{"`CQL_NODES=3 make cql-up`", true},
		{"`CQL_NODE=3 make cql-up`", false},
		{"`CQL_NODES=3 make cql-pu`", false},
		{"`make bench BENCH_FLAGS=-quick`", true},
		{"`make` and `test it", false},
		{"`make\ntest` it", true},
		{"`make\ntset` it", false},
		{"`make\n\ntest` it", false},
		{"```\n$ make build && make tset\n```", false},
		{"```sh\nmake tset # does\n```", false},
		{"```sh\nmake test # tset\n```", true},
		{"```sh\nmake \\\n  tset\n```", false},
		{"```text\nmake tset\n```", true},
		{"```json\n{\"make\": \"CQL_NODE\"}\n```", false},
		{"`bin/ipfs-cluster-service`", true},
		{"`bin/ipfs-cluster-servant`", false},
		{"`go test -race ./scyllastate`", true},
		{"`go test -race ./...`", true},
		{"`go test ./internal/...`", true},
		{"`go test ./scylla`", false},
		{"`go test ./scylla/...`", false},
		{"`go run ./docs`", false},
		{"`go test -run TestLinks ./internal/docs`", true},
		{"`go test -run=^TestLinks$ ./internal/docs/`", true},
		{"`go test -run 'TestLink|TestLinks' ./internal/docs`", false},
		{"`go test -run=^$ -fuzz FuzzDecodePin ./scyllastate`", true},
		{"`go test -fuzz FuzzDecodePins ./scyllastate`", false},
		{"`ipfs-cluster-service`", true},
		{"`ipfs-cluster-service daemon`", true},
		{"`ipfs-cluster-service demon`", false},
		{"`bin/ipfs-cluster-service demon`", false},
		{"`ipfs-cluster-service init --state scylla`", true},
		{"`ipfs-cluster-service init --store scylla`", false},
		{"`ipfs-cluster-service --loglevel info,scyllastate:debug daemon`", true},
		{"`ipfs-cluster-service --loglevel info,scyllastate:debug demon`", false},
		{"`ipfs-cluster-service --log-level=info daemon`", false},
		{"`ipfs-cluster-service daemon >log && ipfs-cluster-service demon`", false},
		{"`ipfs-cluster-service daemon 2>log # demon`", true},
		{"`make check > log 2>&1`", true},
		{"`ipfs-cluster-service -c folder state export -f pins.json`", true},
		{"`ipfs-cluster-service -c folder state export -g pins.json`", false},
		{"`ipfs-cluster-service state import pins.json`", true},
		{"`ipfs-cluster-service state imprt pins.json`", false},
		{"`ipfs-cluster-service state import --help`", true},
		{"`ipfs-cluster-service state …`", true},
		{"`CLUSTER_SCYLLA_HOSTS=db1 ipfs-cluster-service daemon`", true},
		{"`CLUSTER_SCYLLA_HOST=db1 ipfs-cluster-service daemon`", false},
		{"CLUSTER_SCYLLA_… and IPFS_CLUSTER_PATH", true},
		{"DEMO_ENGIN", false},
	} {
		problems := known.checkPage(parsePage("docs/x.md", test.text))
		if (len(problems) == 0) != test.ok {
			t.Errorf("%q: should be fine: %v, got %v", test.text, test.ok, problems)
		}
	}
}
