package keycloaktest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// ending is a test that is told its end by another.
type ending struct {
	testing.TB
	failed, skipped string
}

func (e *ending) Fatalf(format string, args ...any) {
	e.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (e *ending) Skipf(format string, args ...any) {
	e.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// startsNot returns how a start ends that must not succeed.
func startsNot(t *testing.T) *ending {
	t.Helper()
	e := &ending{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Start(e)
		t.Error("Keycloak started")
	}()
	<-done
	return e
}

// script puts a program into a directory.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// A test without Keycloak is skipped, and fails where it is required. What is missing is
// named with the line that installs it.
func TestWithoutKeycloak(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, want := range []string{"apt-get install -y openjdk-17-jre-headless", "apt-get install -y maven"} {
		t.Setenv("KEYCLOAK_REQUIRED", "")
		if got := startsNot(t); !strings.Contains(got.skipped, want) || got.failed != "" {
			t.Errorf("without what %q brings: skipped with %q, failed with %q", want, got.skipped, got.failed)
		}
		t.Setenv("KEYCLOAK_REQUIRED", "1")
		if got := startsNot(t); !strings.Contains(got.failed, want) || got.skipped != "" {
			t.Errorf("without what %q brings, where it is required: skipped with %q, failed with %q", want, got.skipped, got.failed)
		}
		script(t, bin, "java", "exit 1\n")
	}
}

// What was not fetched whole, or was not what was asked for, is never started, and leaves
// nothing.
func TestFailedFetchLeavesNothing(t *testing.T) {
	for want, mvn := range map[string]string{
		"no route to repository": "echo half >" + archive + "; echo no route to repository; exit 1\n",
		"has the SHA-256":        "echo another >" + archive + "\n",
		"no Keycloak from Maven": "exit 0\n",
	} {
		cache, bin := t.TempDir(), t.TempDir()
		script(t, bin, "mvn", mvn)
		script(t, bin, "java", "touch '"+filepath.Join(cache, "started")+"'\n")
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		t.Setenv("XDG_CACHE_HOME", cache)
		t.Setenv("JAVA_HOME", "")
		t.Setenv("KEYCLOAK_REQUIRED", "1")
		for range 2 {
			if got := startsNot(t); !strings.Contains(got.failed, want) {
				t.Errorf("%q: failed with %q", want, got.failed)
			}
		}
		left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
		if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
			t.Errorf("%q: left in the cache: %v, %v", want, left, err)
		}
		if exists(filepath.Join(cache, "started")) {
			t.Errorf("%q: it was started", want)
		}
	}
}

// A Keycloak that does not come up is reported with its log, at once.
func TestStartReportsTheLog(t *testing.T) {
	cache, java := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "ipfs-cluster-scylla", "keycloak-"+version+"-"+database), 0o700); err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(java, "bin"), "java", "echo the disk is on fire; exit 3\n")
	t.Setenv("JAVA_HOME", java)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("KEYCLOAK_REQUIRED", "1")
	if got := startsNot(t); !strings.Contains(got.failed, "the disk is on fire") || !strings.Contains(got.failed, "exit status 3") {
		t.Errorf("failed with %q", got.failed)
	}
}
