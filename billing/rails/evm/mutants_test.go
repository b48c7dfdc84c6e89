package evm

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find, planted in the real code.
var mutants = []overlay.Mutant{
	{Name: "the segment before is not read again", Test: "TestLaggingNode", Edits: []overlay.Edit{{File: "watcher.go", Old: "max(w.next, start/segmentBlocks+1) - 1", New: "max(w.next, start/segmentBlocks)"}}},
	{Name: "a segment is done before it is final", Test: "TestSegments", Edits: []overlay.Edit{{File: "read.go", Old: "if (segment+1)*segmentBlocks-1 > final {", New: "if (segment+1)*segmentBlocks-1 > head {"}}},
	{Name: "a block is final one too early", Test: "TestSeenThenFinal", Edits: []overlay.Edit{{File: "read.go", Old: "uint64(log.Block) <= final, Head", New: "uint64(log.Block) <= final+1, Head"}}},
	{Name: "what the handler did not keep counts as told", Test: "TestHandlerFails", Edits: []overlay.Edit{{File: "read.go", Old: "	if err := w.handler.Seen(ctx, event); err != nil {\n		return err\n	}\n	if w.finals", New: "	if err := w.handler.Seen(ctx, event); err != nil {\n		return nil\n	}\n	if w.finals"}}},
	{Name: "the head is not looked for", Test: "TestBehind", Edits: []overlay.Edit{{File: "read.go", Old: "	if _, err := w.nodes[0].atOrBefore(ctx, to); err != nil {\n		return err\n	}\n", New: ""}}},
	{Name: "receipts are not asked for", Test: "TestContradiction", Edits: []overlay.Edit{{File: "read.go", Old: "	if err := w.confirm(ctx, log); err != nil {\n		return err\n	}\n", New: ""}}},
	{Name: "the second node is not asked", Test: "TestContradiction", Edits: []overlay.Edit{{File: "read.go", Old: "for i, node := range w.nodes {\n		receipt", New: "for i, node := range w.nodes[:1] {\n		receipt"}}},
	{Name: "the second node's finality is not waited for", Test: "TestContradiction", Edits: []overlay.Edit{{File: "watcher.go", Old: "min(final, own)", New: "final"}}},
	{Name: "the second node's chain is not looked at", Test: "TestContradiction", Edits: []overlay.Edit{{File: "watcher.go", Old: "for _, node := range nodes {\n		id", New: "for _, node := range nodes[:1] {\n		id"}}},
	{Name: "the block of a log is not compared", Test: "TestBlockOfALog", Edits: []overlay.Edit{{File: "read.go", Old: "block.Hash != log.BlockHash", New: "false"}}},
	{Name: "a final log may be gone", Test: "TestFinalIsGone", Edits: []overlay.Edit{{File: "read.go", Old: "if !found[id] {", New: "if false {"}}},
	{Name: "a final log may be in another block", Test: "TestFinalIsGone", Edits: []overlay.Edit{{File: "read.go", Old: "if told != log.BlockHash {", New: "if false {"}}},
	{Name: "the end of what is done is not compared", Test: "TestForked", Edits: []overlay.Edit{{File: "segments.go", Old: "if has.Hash != kept {", New: "if false {"}}},
	{Name: "what is dropped is told at once", Test: "TestDroppedBeforeFinal", Edits: []overlay.Edit{{File: "seen.go", Old: " || uint64(e.Log.Block) > final {", New: " {"}}},
	{Name: "what is dropped is not told", Test: "TestDroppedBeforeFinal", Edits: []overlay.Edit{{File: "seen.go", Old: "		if gone {", New: "		if gone && id == \"\" {"}}},
	{Name: "what is dropped is told each time", Test: "TestDroppedBeforeFinal", Edits: []overlay.Edit{{File: "seen.go", Old: "l.dropped[id] = true", New: ""}}},
	{Name: "what was seen is not listed", Test: "TestDroppedBeforeFinal", Edits: []overlay.Edit{{File: "read.go", Old: "		if err := w.list(ctx, segment, event); err != nil {\n			return err\n		}\n", New: "		if _, err := w.load(ctx, segment); err != nil {\n			return err\n		}\n"}}},
	{Name: "what moved counts as dropped", Test: "TestMoved", Edits: []overlay.Edit{{File: "seen.go", Old: "			if l.Index == log.Index {\n				return false, nil", New: "			if false {\n				return false, nil"}}},
	{Name: "a moved log is not told again", Test: "TestMoved", Edits: []overlay.Edit{{File: "read.go", Old: "l.told[log.ID()] == log.BlockHash {", New: "l.told[log.ID()] != (Hash{}) {"}}},
	{Name: "what a node lacks is a round without a block", Test: "TestBehind", Edits: []overlay.Edit{{File: "segments.go", Old: "case block == nil:\n			return Block{}, fmt.Errorf(", New: "case block == nil:\n			continue\n			return Block{}, fmt.Errorf("}}},
	{Name: "rounds without a block are an error", Test: "TestNullRounds", Edits: []overlay.Edit{{File: "methods.go", Old: `"null round"`, New: `"no round"`}}},
	{Name: "large ranges are not split", Test: "TestRanges", Edits: []overlay.Edit{{File: "logs.go", Old: "to == from || !splittable(err)", New: "true"}}},
	{Name: "a block is left out where a range is split", Test: "TestRanges", Edits: []overlay.Edit{{File: "logs.go", Old: "c.Logs(ctx, q, middle+1, to)", New: "c.Logs(ctx, q, middle+2, to)"}}},
	{Name: "logs that nobody asked for pass", Test: "TestStrangeLogs", Edits: []overlay.Edit{{File: "logs.go", Old: " || !q.matches(l) {", New: " {"}}},
	{Name: "where it began is not kept", Test: "TestStartsAtFinal", Edits: []overlay.Edit{{File: "watcher.go", Old: `return w.keptNumber(ctx, "start", max(final, 1))`, New: "return final, nil"}}},
	{Name: "the URL is in errors", Test: "TestAnswers", Edits: []overlay.Edit{{File: "client.go", Old: "err = inner // without the URL", New: ""}}},
	{Name: "redirects are followed", Test: "TestAnswers", Edits: []overlay.Edit{{File: "client.go", Old: "return http.ErrUseLastResponse", New: "return nil"}}},
	{Name: "answers have no bound", Test: "TestAnswers", Edits: []overlay.Edit{{File: "client.go", Old: "len(body) > maxAnswer", New: "len(body) > 2*maxAnswer"}}},
	{Name: "capitals are not looked at", Test: "TestAddress", Edits: []overlay.Edit{{File: "hex.go", Old: "text != a.String() {", New: "false {"}}},
	{Name: "everybody may read the key", Test: "TestConfig", Edits: []overlay.Edit{{File: "config.go", Old: "info.Mode().Perm()&never != 0", New: "false"}}},
}

func TestPlantedBugsAreFound(t *testing.T) { overlay.Find(t, 1, mutants) }
