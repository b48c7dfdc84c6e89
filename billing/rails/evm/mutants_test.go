package evm

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
	name, test string
	edit       overlay.Edit
}{
	{"the segment before is not read again", "TestLaggingNode", overlay.Edit{File: "watcher.go", Old: "max(w.next, start/segmentBlocks+1) - 1", New: "max(w.next, start/segmentBlocks)"}},
	{"a segment is done before it is final", "TestSegments", overlay.Edit{File: "read.go", Old: "if (segment+1)*segmentBlocks-1 > final {", New: "if (segment+1)*segmentBlocks-1 > head {"}},
	{"a block is final one too early", "TestSeenThenFinal", overlay.Edit{File: "read.go", Old: "uint64(log.Block) <= final, Head", New: "uint64(log.Block) <= final+1, Head"}},
	{"what the handler did not keep counts as told", "TestHandlerFails", overlay.Edit{File: "read.go", Old: "	if err := w.handler.Seen(ctx, event); err != nil {\n		return err\n	}\n	if w.finals", New: "	if err := w.handler.Seen(ctx, event); err != nil {\n		return nil\n	}\n	if w.finals"}},
	{"the head is not looked for", "TestBehind", overlay.Edit{File: "read.go", Old: "	if _, err := w.nodes[0].atOrBefore(ctx, to); err != nil {\n		return err\n	}\n", New: ""}},
	{"receipts are not asked for", "TestContradiction", overlay.Edit{File: "read.go", Old: "	if err := w.confirm(ctx, log); err != nil {\n		return err\n	}\n", New: ""}},
	{"the second node is not asked", "TestContradiction", overlay.Edit{File: "read.go", Old: "for i, node := range w.nodes {\n		receipt", New: "for i, node := range w.nodes[:1] {\n		receipt"}},
	{"the second node's finality is not waited for", "TestContradiction", overlay.Edit{File: "watcher.go", Old: "min(final, own)", New: "final"}},
	{"the second node's chain is not looked at", "TestContradiction", overlay.Edit{File: "watcher.go", Old: "for _, node := range nodes {\n		id", New: "for _, node := range nodes[:1] {\n		id"}},
	{"the block of a log is not compared", "TestBlockOfALog", overlay.Edit{File: "read.go", Old: "block.Hash != log.BlockHash", New: "false"}},
	{"a final log may be gone", "TestFinalIsGone", overlay.Edit{File: "read.go", Old: "if !found[id] {", New: "if false {"}},
	{"a final log may be in another block", "TestFinalIsGone", overlay.Edit{File: "read.go", Old: "if told != log.BlockHash {", New: "if false {"}},
	{"the end of what is done is not compared", "TestForked", overlay.Edit{File: "segments.go", Old: "if has.Hash != kept {", New: "if false {"}},
	{"what is dropped is told at once", "TestDroppedBeforeFinal", overlay.Edit{File: "seen.go", Old: " || uint64(e.Log.Block) > final {", New: " {"}},
	{"what is dropped is not told", "TestDroppedBeforeFinal", overlay.Edit{File: "seen.go", Old: "		if gone {", New: "		if gone && id == \"\" {"}},
	{"what is dropped is told each time", "TestDroppedBeforeFinal", overlay.Edit{File: "seen.go", Old: "l.dropped[id] = true", New: ""}},
	{"what was seen is not listed", "TestDroppedBeforeFinal", overlay.Edit{File: "read.go", Old: "		if err := w.list(ctx, segment, event); err != nil {\n			return err\n		}\n", New: "		if _, err := w.load(ctx, segment); err != nil {\n			return err\n		}\n"}},
	{"what moved counts as dropped", "TestMoved", overlay.Edit{File: "seen.go", Old: "			if l.Index == log.Index {\n				return false, nil", New: "			if false {\n				return false, nil"}},
	{"a moved log is not told again", "TestMoved", overlay.Edit{File: "read.go", Old: "l.told[log.ID()] == log.BlockHash {", New: "l.told[log.ID()] != (Hash{}) {"}},
	{"what a node lacks is a round without a block", "TestBehind", overlay.Edit{File: "segments.go", Old: "case block == nil:\n			return Block{}, fmt.Errorf(", New: "case block == nil:\n			continue\n			return Block{}, fmt.Errorf("}},
	{"rounds without a block are an error", "TestNullRounds", overlay.Edit{File: "methods.go", Old: `"null round"`, New: `"no round"`}},
	{"large ranges are not split", "TestRanges", overlay.Edit{File: "logs.go", Old: "to == from || !splittable(err)", New: "true"}},
	{"a block is left out where a range is split", "TestRanges", overlay.Edit{File: "logs.go", Old: "c.Logs(ctx, q, middle+1, to)", New: "c.Logs(ctx, q, middle+2, to)"}},
	{"logs that nobody asked for pass", "TestStrangeLogs", overlay.Edit{File: "logs.go", Old: " || !q.matches(l) {", New: " {"}},
	{"where it began is not kept", "TestStartsAtFinal", overlay.Edit{File: "watcher.go", Old: `return w.keptNumber(ctx, "start", max(final, 1))`, New: "return final, nil"}},
	{"the URL is in errors", "TestAnswers", overlay.Edit{File: "client.go", Old: "err = inner // without the URL", New: ""}},
	{"redirects are followed", "TestAnswers", overlay.Edit{File: "client.go", Old: "return http.ErrUseLastResponse", New: "return nil"}},
	{"answers have no bound", "TestAnswers", overlay.Edit{File: "client.go", Old: "len(body) > maxAnswer", New: "len(body) > 2*maxAnswer"}},
	{"capitals are not looked at", "TestAddress", overlay.Edit{File: "hex.go", Old: "text != a.String() {", New: "false {"}},
	{"everybody may read the key", "TestConfig", overlay.Edit{File: "config.go", Old: "info.Mode().Perm()&never != 0", New: "false"}},
}

// TestPlantedBugsAreFound builds the code with one bug after the other, all of them with
// TEST_LONG=1.
func TestPlantedBugsAreFound(t *testing.T) {
	for i, m := range mutants {
		if err := overlay.Check(".", []overlay.Edit{m.edit}); err != nil {
			t.Errorf("%s: %s", m.name, err)
			continue
		}
		if i > 0 && os.Getenv("TEST_LONG") != "1" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			program, err := overlay.Build(ctx, ".", "*_test.go", t.TempDir(), []overlay.Edit{m.edit})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(ctx, program, "-test.run", "^"+m.test+"$", "-test.timeout", "5m").CombinedOutput() //nolint:gosec // it was just built
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+m.test) {
				t.Fatalf("not found: %v\n%s", err, out)
			}
		})
	}
	if os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: 1 planted bug of %d. TEST_LONG=1 plants all.", len(mutants))
	}
}
