package promtest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// A test without the programs is skipped, and fails where they are required. It says how to
// get them.
func TestWithoutPrograms(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	const want = "apt-get install -y prometheus prometheus-alertmanager"
	t.Setenv("MONITORING_REQUIRED", "")
	if got := endtest.Run(t, func(tb testing.TB) { Find(tb) }); !strings.Contains(got.Skipped, want) || got.Failed != "" {
		t.Errorf("skipped with %q, failed with %q", got.Skipped, got.Failed)
	}
	t.Setenv("MONITORING_REQUIRED", "1")
	if got := endtest.Run(t, func(tb testing.TB) { Find(tb) }); !strings.Contains(got.Failed, want) || got.Skipped != "" {
		t.Errorf("where they are required: skipped with %q, failed with %q", got.Skipped, got.Failed)
	}
}

// Where packages cannot be downloaded, the programs of PATH are used.
func TestProgramsOfPath(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", bin)
	for _, name := range []string{"prometheus", "promtool", "prometheus-alertmanager", "amtool"} {
		endtest.Script(t, bin, name, "exit 0\n")
	}
	want := Tools{
		Prometheus: filepath.Join(bin, "prometheus"), Promtool: filepath.Join(bin, "promtool"),
		Alertmanager: filepath.Join(bin, "prometheus-alertmanager"), Amtool: filepath.Join(bin, "amtool"),
	}
	if got := Find(t); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What was not fetched whole is never used, and leaves nothing.
func TestFailedFetchLeavesNothing(t *testing.T) {
	programs := `mkdir -p "$3/usr/bin" && cd "$3/usr/bin" && for p in prometheus promtool prometheus-alertmanager amtool; do echo nothing >$p; chmod +x $p; done` + "\n"
	for want, tools := range map[string]struct{ apt, dpkg string }{
		"no route to the archive":   {"touch a.deb; echo no route to the archive; exit 100\n", "exit 0\n"},
		"downloaded 1 packages":     {"touch a.deb\n", "exit 0\n"},
		"not an archive":            {"touch a.deb b.deb\n", "echo not an archive; exit 2\n"},
		"do not have what":          {"touch a.deb b.deb\n", "exit 0\n"},
		"elsewhere than in /usr/sh": {"touch a.deb b.deb\n", programs},
	} {
		cache, bin := t.TempDir(), t.TempDir()
		endtest.Script(t, bin, "apt-get", tools.apt)
		endtest.Script(t, bin, "dpkg", tools.dpkg)
		t.Setenv("PATH", bin+":/usr/bin:/bin")
		t.Setenv("XDG_CACHE_HOME", cache)
		t.Setenv("MONITORING_REQUIRED", "1")
		if got := endtest.Run(t, func(tb testing.TB) { Find(tb) }); !strings.Contains(got.Failed, want) {
			t.Errorf("%q: failed with %q", want, got.Failed)
		}
		left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
		if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
			t.Errorf("%q: left in the cache: %v, %v", want, left, err)
		}
	}
}
