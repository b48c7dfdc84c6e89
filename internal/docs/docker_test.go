package docs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// composeFile is the name of the compose file, from the top of the checkout.
const composeFile = "docker-compose.yml"

// compose is what a docker compose command may name: what docker-compose.yml
// declares, and of Docker the commands and flags in use here. Docker cannot be
// asked: it need not be there.
type compose struct {
	services, profiles []string
	commands           map[string]*subcommand
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, composeFile))
	if err != nil {
		t.Fatal(err)
	}
	c := compose{commands: map[string]*subcommand{
		"up":   {flags: map[string]bool{"--build": false, "--detach": false, "--wait": false}},
		"down": {flags: map[string]bool{"--volumes": false}},
	}}
	section := ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if m := regexp.MustCompile(`^(\w+):`).FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		if m := regexp.MustCompile(`^  (\w+):$`).FindStringSubmatch(line); m != nil && section == "services" {
			c.services = append(c.services, m[1])
		}
		if m := regexp.MustCompile(`^    profiles: \[(\w+)\]$`).FindStringSubmatch(line); m != nil {
			c.profiles = append(c.profiles, m[1])
		}
	}
	if !slices.Contains(c.services, "cluster") || len(c.profiles) == 0 {
		t.Fatalf("%s was not understood: services %q, profiles %q", composeFile, c.services, c.profiles)
	}
	return c
}

// composePage is the comment of the compose file as a page: its commands are
// indented.
func composePage(t *testing.T) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, composeFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if command, ok := strings.CutPrefix(line, "#   "); ok {
			lines[i] = "`" + command + "`"
		} else {
			lines[i] = ""
		}
	}
	p := parsePage(composeFile, strings.Join(lines, "\n"))
	if len(p.commands()) < 5 {
		t.Fatalf("%s has %d commands: they were not found", composeFile, len(p.commands()))
	}
	return p
}

// checkDocker checks the arguments of docker, and the program that is run in a
// container.
func (k known) checkDocker(args []string, strict bool) error {
	if len(args) == 0 || args[0] != "compose" {
		return errors.New("no test knows a docker command other than compose")
	}
	for args = args[1:]; len(args) > 0 && strings.HasPrefix(args[0], "-"); args = args[2:] {
		if args[0] != "--profile" || len(args) < 2 || !slices.Contains(k.compose.profiles, args[1]) {
			return fmt.Errorf("%s has no profile %s", composeFile, strings.Join(args, " "))
		}
	}
	if len(args) == 0 {
		return nil
	}
	name, args := args[0], args[1:]
	if name == "exec" {
		if len(args) < 2 {
			return errors.New("docker compose exec wants a service and a program")
		}
		if err := k.compose.checkService(args[0]); err != nil {
			return err
		}
		return k.checkProgram(args[1], args[2:], strict)
	}
	command, ok := k.compose.commands[name]
	if !ok {
		return fmt.Errorf("no test knows docker compose %s", name)
	}
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		if err := k.compose.checkService(arg); err != nil {
			return err
		}
	}
	return command.check(args)
}

func (c compose) checkService(name string) error {
	if !isPlaceholder(name) && !slices.Contains(c.services, name) {
		return fmt.Errorf("%s has no service %s", composeFile, name)
	}
	return nil
}
