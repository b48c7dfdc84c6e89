package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommands looks at the commands in the pages, in fenced blocks and in
// inline code, and at the environment variables: what they name must exist.
func TestCommands(t *testing.T) {
	pages := readPages(t)
	known := readKnown(t, pages)
	commands := 0
	for _, p := range append(pages, composePage(t)) {
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
	gateway  *subcommand
	billing  *subcommand
	ctl      *subcommand
	compose  compose
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
		gateway:   readGateway(t),
		billing:   readBilling(t),
		ctl:       readCtl(t),
		compose:   readCompose(t),
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
		for _, problem := range k.checkLine(line.text, line.strict) {
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

// checkLine returns what is wrong with a line of the shell. strict says that it
// can be nothing else.
func (k known) checkLine(line string, strict bool) []string {
	var problems []string
	for _, words := range shellCommands(line) {
		if err := k.checkProgram(words[0], words[1:], strict); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", strings.Join(words, " "), err))
		}
	}
	for _, m := range regexp.MustCompile(`\$\(([^()]+)\)`).FindAllStringSubmatch(line, -1) {
		problems = append(problems, k.checkLine(m[1], strict)...)
	}
	return problems
}

// checkProgram returns what is wrong with one command.
func (k known) checkProgram(program string, args []string, strict bool) error {
	if strings.HasPrefix(program, "bin/") && !k.binaries[program] {
		return fmt.Errorf("make does not build %s", program)
	}
	switch name := strings.TrimPrefix(strings.TrimPrefix(program, "./"), "bin/"); name {
	case "make":
		return k.checkMake(args)
	case "go":
		return checkGo(args)
	case "ipfs-cluster-service":
		return k.service.check(args)
	case "pin-gateway":
		return k.gateway.check(args)
	case "pin-billing":
		return k.billing.check(args)
	case "ipfs-cluster-ctl":
		return k.ctl.check(args)
	case "docker":
		return k.checkDocker(args, strict)
	default:
		if strict && !isPlaceholder(name) && !slices.Contains(otherPrograms(), name) {
			return fmt.Errorf("no test knows the program %s: correct it, or add it to otherPrograms", name)
		}
		return nil
	}
}

// otherPrograms are those in the fenced blocks whose arguments are not looked
// at: what a shell has, and what everybody has installed.
func otherPrograms() []string {
	return []string{"cat", "cd", "cp", "cqlsh", "curl", "echo", "export", "git", "ipfs", "jq", "mkdir", "openssl", "umask"}
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
	if len(args) > 0 && !isPlaceholder(args[0]) &&
		!slices.Contains([]string{"build", "generate", "install", "mod", "run", "test", "vet"}, args[0]) {
		return fmt.Errorf("no test knows go %s", args[0])
	}
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
