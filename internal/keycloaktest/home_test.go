package keycloaktest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// A test without Keycloak is skipped, and fails where it is required. What is missing is
// named with the line that installs it.
func TestWithoutKeycloak(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, want := range []string{"apt-get install -y openjdk-17-jre-headless", "apt-get install -y maven"} {
		t.Setenv("KEYCLOAK_REQUIRED", "")
		if got := endtest.Run(t, func(tb testing.TB) { Start(tb) }); !strings.Contains(got.Skipped, want) || got.Failed != "" {
			t.Errorf("without what %q brings: skipped with %q, failed with %q", want, got.Skipped, got.Failed)
		}
		t.Setenv("KEYCLOAK_REQUIRED", "1")
		if got := endtest.Run(t, func(tb testing.TB) { Start(tb) }); !strings.Contains(got.Failed, want) || got.Skipped != "" {
			t.Errorf("without what %q brings, where it is required: skipped with %q, failed with %q", want, got.Skipped, got.Failed)
		}
		endtest.Script(t, bin, "java", "exit 1\n")
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
		endtest.Script(t, bin, "mvn", mvn)
		endtest.Script(t, bin, "java", "touch '"+filepath.Join(cache, "started")+"'\n")
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		t.Setenv("XDG_CACHE_HOME", cache)
		t.Setenv("JAVA_HOME", "")
		t.Setenv("KEYCLOAK_REQUIRED", "1")
		for range 2 {
			if got := endtest.Run(t, func(tb testing.TB) { Start(tb) }); !strings.Contains(got.Failed, want) {
				t.Errorf("%q: failed with %q", want, got.Failed)
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
	endtest.Script(t, filepath.Join(java, "bin"), "java", "echo the disk is on fire; exit 3\n")
	t.Setenv("JAVA_HOME", java)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("KEYCLOAK_REQUIRED", "1")
	if got := endtest.Run(t, func(tb testing.TB) { Start(tb) }); !strings.Contains(got.Failed, "the disk is on fire") || !strings.Contains(got.Failed, "exit status 3") {
		t.Errorf("failed with %q", got.Failed)
	}
}
