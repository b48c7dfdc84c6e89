package docs

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/billing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/gateway"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/service"
)

// subcommand is a program or one of its subcommands. Of ours it is as the help
// shows it: a flag that the help hides does not exist for the documentation.
type subcommand struct {
	// flags by name, dashes included; true when a value follows.
	flags map[string]bool
	// below are its subcommands.
	below map[string]*subcommand
}

// ourProgram is the Main of one of our commands.
type ourProgram func(args []string, stdin io.Reader, stdout, stderr io.Writer) int

func readService(t *testing.T) *subcommand {
	t.Helper()
	return readProgram(t, service.Main, "ipfs-cluster-service")
}

func readGateway(t *testing.T) *subcommand {
	t.Helper()
	return readProgram(t, gateway.Main, "pin-gateway")
}

func readBilling(t *testing.T) *subcommand {
	t.Helper()
	return readProgram(t, billing.Main, "pin-billing")
}

// readProgram asks the program itself, all the way down.
func readProgram(t *testing.T, run ourProgram, program string, names ...string) *subcommand {
	t.Helper()
	args := append(append([]string{program}, names...), "--help")
	var stdout, stderr bytes.Buffer
	if code := run(args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr.String())
	}
	c := newSubcommand()
	section := ""
	for _, line := range strings.Split(stdout.String(), "\n") {
		if line != "" && line[0] != ' ' {
			section = line
			continue
		}
		// Names, two spaces, what it is for.
		spec, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if spec == "" {
			continue
		}
		for _, name := range strings.Split(spec, ", ") {
			switch section {
			case "OPTIONS:", "GLOBAL OPTIONS:":
				flag, value, _ := strings.Cut(name, " ")
				c.flags[flag] = value != ""
			case "COMMANDS:":
				if name == "help" || name == "h" {
					c.below[name] = &subcommand{}
					continue
				}
				c.below[name] = readProgram(t, run, program, append(slices.Clone(names), name)...)
			}
		}
	}
	if len(names) == 0 && (len(c.below) < 3 || len(c.flags) < 4) {
		t.Fatalf("the help of %v was not understood: %+v", args, c)
	}
	return c
}

// check returns the first word of args that the program would refuse.
func (c *subcommand) check(args []string) error {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if isPlaceholder(word) {
			continue
		}
		if strings.HasPrefix(word, "-") && word != "-" {
			name, _, assigned := strings.Cut(word, "=")
			takesValue, ok := c.flags[name]
			if !ok {
				return fmt.Errorf("there is no flag %s", name)
			}
			if takesValue && !assigned {
				i++
			}
			continue
		}
		if len(c.below) == 0 {
			continue // an argument
		}
		below, ok := c.below[word]
		if !ok {
			return fmt.Errorf("there is no command %s", word)
		}
		return below.check(args[i+1:])
	}
	return nil
}
