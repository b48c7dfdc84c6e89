package consume_test

import (
	"fmt"
	"strings"
	"testing"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// warnings returns what is logged from now on, until the test ends.
func warnings(tb testing.TB) (said func() string) {
	tb.Helper()
	must(tb, logging.SetLogLevel("events", "warn"))
	tb.Cleanup(func() { must(tb, logging.SetLogLevel("events", "error")) })
	return logtest.Follow(tb, logging.LevelWarn)
}

// lacks says that a text is not part of another one, nothing if it is.
func lacks(text, part string) string {
	if strings.Contains(text, part) {
		return ""
	}
	return fmt.Sprintf("%q is not in %s", part, text)
}
