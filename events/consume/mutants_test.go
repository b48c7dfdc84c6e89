package consume

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []struct {
	name  string
	test  string // the one that finds it
	files string // that the test needs
	edit  overlay.Edit
}{
	{
		"a later beginning is taken for the next message", "TestEpochs", "shard*_test.go",
		overlay.Edit{File: "shard.go", Old: `		s.miss(interval{From: s.Through, To: r.From})
`, New: ``},
	},
	{
		"jumps are ignored", "TestNothingIsMissedUnnoticed", "shard*_test.go",
		overlay.Edit{File: "shard.go", Old: `case n == s.N+1 && s.solid(s.N):`, New: `case s.Solid >= 0:`},
	},
	{
		"a lower epoch is accepted", "TestNoNeedlessReplays", "shard*_test.go",
		overlay.Edit{File: "shard.go", Old: `case epoch < s.Epoch || epoch == s.Epoch && n <= s.N:`, New: `case epoch == s.Epoch && n <= s.N:`},
	},
	{
		"a replay counts although a message is missing", "TestReplayWithLoss", "*_test.go",
		overlay.Edit{File: "replays.go", Old: `p.n == m.N`, New: `p.n <= m.N`},
	},
	{
		"any replay counts", "TestReplayWithLoss", "*_test.go",
		overlay.Edit{File: "replays.go", Old: `!slices.Contains(sr.ask.names, m.Replay)`, New: `slices.Contains(sr.ask.names, "")`},
	},
	{
		"old versions are handled", "TestRetryAndDrop", "*_test.go",
		overlay.Edit{File: "handle.go", Old: `ok && !events.Newer(version, handled)`, New: `ok && handled == ""`},
	},
	{
		"a message is acknowledged that could not be put aside", "TestPutAsideBeforeAcknowledged", "*_test.go",
		overlay.Edit{File: "dead.go", Old: `		return ack, err
`, New: `		return ack, nil
`},
	},
	{
		"the stream is not read again", "TestStateSetBack", "*_test.go",
		overlay.Edit{File: "work.go", Old: `(v == jump || s.Seq == 0) && looked`, New: `s.Seq == 0 && looked`},
	},
	{
		"another process takes over from a slow handler", "TestSlowHandler", "*_test.go",
		overlay.Edit{File: "stay.go", Old: `err := r.reader.keep()`, New: `err := error(nil)`},
	},
	{
		"messages of an earlier epoch are not counted", "TestSuperseded", "*_test.go",
		overlay.Edit{File: "superseded.go", Old: `r.stats.superseded.Add(1)`, New: ``},
	},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	for i, m := range mutants {
		if err := overlay.Check(".", []overlay.Edit{m.edit}); err != nil {
			t.Errorf("%s: %s", m.name, err)
		}
		if i > 0 && os.Getenv("TEST_LONG") != "1" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			program, err := overlay.Build(ctx, ".", m.files, t.TempDir(), []overlay.Edit{m.edit})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "10m", "-rapid.nofailfile").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}
