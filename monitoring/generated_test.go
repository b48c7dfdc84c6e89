package monitoring

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What sloth has made is of the input that is there, and nobody has changed it since.
func TestSlothOutput(t *testing.T) {
	text, err := os.ReadFile("slo/checksums")
	if err != nil {
		t.Fatal(err)
	}
	lines, files := bufio.NewScanner(bytes.NewReader(text)), 0
	for lines.Scan() {
		sum, file, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			t.Fatalf("slo/checksums: %q is not of sha256sum", lines.Text())
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := sha256.Sum256(content)
		if hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s is not what it was when the rules were made: make rules", file)
		}
		files++
	}
	if files != 2*len(names(t, "slo")) {
		t.Errorf("slo/checksums has %d files, not those of slo and what was made of them", files)
	}
}

// sloth makes of its input what is there. It takes long to build, and is asked where it was.
func TestSloth(t *testing.T) {
	program := built(t, "sloth")
	if program == "" {
		t.Skip("bin/sloth is not built, and TestSlothOutput has to do: make rules builds it")
	}
	for _, name := range names(t, "slo") {
		made := filepath.Join(t.TempDir(), "rules.yml")
		if out, err := exec.CommandContext(t.Context(), program, "generate", "-i", filepath.Join("slo", name+".yml"), "-o", made).CombinedOutput(); err != nil {
			t.Fatalf("sloth: %v\n%s", err, out)
		}
		got, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("rules", name+".yml"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("rules/%s.yml is not what sloth makes: make rules", name)
		}
	}
}

// pint finds nothing to complain of.
func TestPint(t *testing.T) {
	program := built(t, "pint")
	if program == "" && os.Getenv("TEST_LONG") == "1" && os.Getenv("MONITORING_REQUIRED") == "1" {
		t.Fatal("bin/pint is not built, and MONITORING_REQUIRED=1")
	}
	if program == "" {
		t.Skip("bin/pint is not built: make test-monitoring does it")
	}
	args := []string{"--offline", "--no-color", "--config", "pint.hcl", "lint", "--min-severity", "warning", "--fail-on", "warning"}
	for _, name := range names(t, "rules") {
		args = append(args, filepath.Join("rules", name+".yml"))
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("pint: %v\n%s", err, out)
	}
}

// built returns the path of a program that make builds, or nothing if it was not.
func built(t *testing.T, name string) string {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("../bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		return ""
	}
	return program
}
