package promtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// getTimeout is the time that downloading and unpacking may take.
const getTimeout = 5 * time.Minute

// Tools are the paths of the programs.
type Tools struct {
	Prometheus, Promtool, Alertmanager, Amtool string

	// templates is the directory of the templates that Alertmanager looks for where it is
	// started, or empty if it finds them itself.
	templates string
}

// Find returns the programs, and gets them if they are not there. Tests of several
// processes may call it at once.
func Find(tb testing.TB) Tools {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), getTimeout)
	defer cancel()
	tools, err := find(ctx)
	switch {
	case err == nil:
		return tools
	case os.Getenv("MONITORING_REQUIRED") == "1":
		tb.Fatalf("no Prometheus, and MONITORING_REQUIRED=1: %v", err)
	default:
		tb.Skipf("SKIPPED WITHOUT PROMETHEUS AND ALERTMANAGER (MONITORING_REQUIRED=1 makes this a failure): %v", err)
	}
	return Tools{}
}

func find(ctx context.Context) (Tools, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Tools{}, fmt.Errorf("no cache directory for Prometheus: %w (set HOME or XDG_CACHE_HOME)", err)
	}
	home := filepath.Join(cache, "ipfs-cluster-scylla", "prometheus-debian")
	if tools, err := in(home); err == nil {
		return tools, nil
	}
	if fetchErr := fetch(ctx, home); fetchErr != nil {
		if tools, err := installed(); err == nil {
			return tools, nil
		}
		return Tools{}, fetchErr
	}
	return in(home)
}

// in returns the programs of packages that were unpacked into a directory.
func in(home string) (Tools, error) {
	bin := filepath.Join(home, "usr", "bin")
	tools := Tools{
		Prometheus: filepath.Join(bin, "prometheus"), Promtool: filepath.Join(bin, "promtool"),
		Alertmanager: filepath.Join(bin, alertmanager), Amtool: filepath.Join(bin, "amtool"),
		templates: filepath.Join(home, debianTemplates),
	}
	return tools, tools.check()
}

// installed returns the programs of PATH. Debian has another name for Alertmanager.
func installed() (Tools, error) {
	var problems []error
	path := func(names ...string) string {
		for _, name := range names {
			if found, err := exec.LookPath(name); err == nil {
				return found
			}
		}
		problems = append(problems, fmt.Errorf("%s: %w", names[0], exec.ErrNotFound))
		return ""
	}
	tools := Tools{
		Prometheus: path("prometheus"), Promtool: path("promtool"),
		Alertmanager: path("alertmanager", alertmanager), Amtool: path("amtool"),
	}
	return tools, errors.Join(problems...)
}

func (t Tools) check() error {
	for _, program := range []string{t.Prometheus, t.Promtool, t.Alertmanager, t.Amtool} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("look for a program: %w", err)
		}
	}
	return nil
}

// fetch makes home, which is there whole or not at all. Of two at once, one makes it.
func fetch(ctx context.Context, home string) (err error) {
	base := filepath.Dir(home)
	if err := os.MkdirAll(base, 0o755); err != nil {
		return fmt.Errorf("make cache directory: %w", err)
	}
	lock, err := child.Lock(home + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := in(home); err == nil {
		return nil // another process made it meanwhile
	}
	tmp, err := os.MkdirTemp(base, "prometheus-")
	if err != nil {
		return fmt.Errorf("make directory for Prometheus: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := run(ctx, tmp, "apt-get", "download", "prometheus", "prometheus-alertmanager"); err != nil {
		return fmt.Errorf("%w\ninstall them with: sudo apt-get install -y prometheus prometheus-alertmanager (if apt does not know them: sudo apt-get update)", err)
	}
	fresh := filepath.Join(tmp, "home")
	files, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(files) != 2 {
		return errors.Join(fmt.Errorf("apt downloaded %d packages, not 2", len(files)), err)
	}
	for _, file := range files {
		if err := run(ctx, tmp, "dpkg", "-x", file, fresh); err != nil {
			return err
		}
	}
	tools, err := in(fresh)
	if err != nil {
		return fmt.Errorf("the packages do not have what is needed: %w", err)
	}
	if err := makeMovable(tools.Alertmanager); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(home), os.Rename(fresh, home)); err != nil {
		return fmt.Errorf("move Prometheus into place: %w", err)
	}
	return nil
}

// Debian's Alertmanager, and where it looks for its templates, which is no setting.
const (
	alertmanager    = "prometheus-alertmanager"
	debianTemplates = "/usr/share/prometheus/alertmanager"
)

// makeMovable has Debian's Alertmanager look for its templates in the directory that it is
// started in: as it comes, it does not start where its package is not installed.
func makeMovable(program string) error {
	text, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read Alertmanager: %w", err)
	}
	here := strings.Repeat("./", len(debianTemplates)/2)
	if !bytes.Contains(text, []byte(debianTemplates)) || len(here) != len(debianTemplates) {
		return fmt.Errorf("the Alertmanager of this package looks for its templates elsewhere than in %s", debianTemplates)
	}
	if err := os.WriteFile(program, bytes.ReplaceAll(text, []byte(debianTemplates), []byte(here)), 0o755); err != nil {
		return fmt.Errorf("write Alertmanager: %w", err)
	}
	return nil
}

// run runs a program in a directory. An error has what it printed.
func run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := child.Output(ctx, cmd); err != nil {
		return fmt.Errorf("%s, to get Prometheus: %w\n%s", program, err, out)
	}
	return nil
}
