package invoice

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// poppler runs a program of poppler, a PDF's reader that is not ours, and returns what it
// wrote. A test without it is skipped; POPPLER_REQUIRED=1 makes it fail.
func poppler(tb testing.TB, program string, args ...string) []byte {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		const install = "install it with: sudo apt-get install -y poppler-utils"
		if os.Getenv("POPPLER_REQUIRED") == "1" {
			tb.Fatalf("no %s, and POPPLER_REQUIRED=1: %v; %s", program, err, install)
		}
		tb.Skipf("SKIPPED WITHOUT POPPLER (POPPLER_REQUIRED=1 makes this a failure): %v; %s", err, install)
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), path, args...) //nolint:gosec // a program of the machine
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil || log.Len() > 0 {
		tb.Fatalf("%s: %v: %s", cmd, err, log.Bytes())
	}
	return out.Bytes()
}

// textOf returns the text of a PDF, as it stands on the pages.
func textOf(tb testing.TB, pdf []byte) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "a.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		tb.Fatal(err)
	}
	return string(poppler(tb, "pdftotext", "-layout", "-enc", "UTF-8", file, "-"))
}

// A test without poppler is skipped, and fails where it is required.
func TestWithoutPoppler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	begin := func(tb testing.TB) { poppler(tb, "pdftotext") }
	t.Setenv("POPPLER_REQUIRED", "")
	if got := endtest.Run(t, begin); got.Skipped == "" || got.Failed != "" {
		t.Errorf("skipped with %q, failed with %q", got.Skipped, got.Failed)
	}
	t.Setenv("POPPLER_REQUIRED", "1")
	if got := endtest.Run(t, begin); got.Failed == "" || got.Skipped != "" {
		t.Errorf("required: skipped with %q, failed with %q", got.Skipped, got.Failed)
	}
}
