package multipeer

import (
	"fmt"
	"os"
	"testing"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

func TestMain(m *testing.M) {
	for facility := range ipfscluster.LoggingFacilities {
		ipfscluster.SetFacilityLogLevel(facility, "FATAL")
	}
	code := cqltest.Main(m)
	if code == 0 {
		if err := findLeaks(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines were left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// findLeaks waits for a while until the goroutines of the tests have ended.
func findLeaks() error {
	ignore := []goleak.Option{
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"),
	}
	if os.Getenv("CQL_HOSTS") == "" {
		// The server was started here: the driver leaves goroutines behind for
		// each try to connect while it did not answer.
		for _, f := range []string{
			"github.com/gocql/gocql/tablets.(*opQueue).run",
			"github.com/gocql/gocql/internal/eventbus.(*EventBus[...]).run",
			"github.com/gocql/gocql.(*eventDebouncer).flusher",
			"github.com/gocql/gocql/debounce.(*RefreshDebouncer).flusher",
		} {
			ignore = append(ignore, goleak.IgnoreAnyFunction(f))
		}
	}
	return goleak.Find(ignore...)
}

// long tells whether the large sizes are wanted, and says in the log what was
// not tested when they are not.
func long(tb testing.TB, otherwise string) bool {
	tb.Helper()
	if os.Getenv("TEST_LONG") == "1" {
		return true
	}
	tb.Logf("A SLICE ONLY: %s. TEST_LONG=1 tests the whole.", otherwise)
	return false
}

// longOnly skips a test that has no small form.
func longOnly(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		tb.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): " + why)
	}
}

// patience is how long the tests wait for what has to happen. They run on
// machines that do other things as well.
const patience = 3 * time.Minute

// eventually polls until problem returns nothing, and fails with what it
// returned last.
func eventually(tb testing.TB, what string, problem func() string) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		last := problem()
		if last == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s: %s", what, last)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// must ends the test with err, if there is one.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
