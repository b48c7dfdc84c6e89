package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module = "github.com/ipfs-cluster/ipfs-cluster"
	// patchFolder is relative to the root of the checkout.
	patchFolder = "contrib/ipfs-cluster-v1.1.6"
	// serviceFile is what the commands of the README build.
	serviceFile = "ipfs-cluster-service"
)

// Copy is a copy of upstream's module with the patch of contrib. Its methods
// must not be called at the same time.
type Copy struct {
	// Dir is the root of the copy.
	Dir string
	// checkout is the root of ours.
	checkout string
}

// New copies the module that go.mod requires to dir, which it creates, and
// applies the patch. It must be called from inside a checkout. Where the module
// cache has all modules it needs no network. The caller removes dir.
func New(ctx context.Context, dir string) (*Copy, error) {
	checkout, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, fmt.Errorf("looking for the checkout: %w", err)
	}
	if _, err := output(ctx, "go", "mod", "download", module); err != nil {
		return nil, fmt.Errorf("getting upstream's module: %w", err)
	}
	source, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return nil, fmt.Errorf("looking for upstream's module: %w", err)
	}
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil { // files become writable
		return nil, fmt.Errorf("copying upstream's module: %w", err)
	}
	c := &Copy{Dir: dir, checkout: checkout}
	return c, c.follow(ctx, "Apply")
}

// Service builds upstream's ipfs-cluster-service and returns its path.
func (c *Copy) Service(ctx context.Context) (string, error) {
	return filepath.Join(c.Dir, serviceFile), c.follow(ctx, "Build")
}

// follow runs the commands of a section of the README of contrib.
func (c *Copy) follow(ctx context.Context, section string) error {
	name := filepath.Join(c.checkout, patchFolder, "README.md")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	script, err := commands(string(text), section)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := c.run(ctx, "sh", "-euc", script); err != nil {
		return fmt.Errorf("the commands of %q in %s: %w", section, name, err)
	}
	return nil
}

// commands returns the first sh block below a heading of a Markdown text.
func commands(text, section string) (string, error) {
	_, text, found := strings.Cut(text, "\n## "+section+"\n")
	if found {
		text, _, _ = strings.Cut(text, "\n## ")
		_, text, found = strings.Cut(text, "\n```sh\n")
	}
	if found {
		text, _, found = strings.Cut(text, "\n```\n")
	}
	if !found {
		return "", fmt.Errorf("no sh block in a section %q", section)
	}
	return text, nil
}

// run runs a program in the copy. Its output is part of the error.
func (c *Copy) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(),
		"SCYLLA="+c.checkout,
		// In a folder of another repository git apply would take the
		// paths of a patch as that repository's, and do nothing.
		"GIT_CEILING_DIRECTORIES="+filepath.Dir(c.Dir),
		// A copy has no history to put into the binary.
		"GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// output runs a program and returns what it prints, without the last newline.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
