package evm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
)

// notes is a Handler that writes down what it is told.
type notes struct {
	told []string
	fail error
}

func (n *notes) Wants(_ context.Context, log Log) (bool, error) { return len(log.Data) == 1, nil }

func (n *notes) Seen(_ context.Context, e Event) error {
	word := "seen"
	if e.Final {
		word = "final"
	}
	return n.note(word, e)
}

func (n *notes) Dropped(_ context.Context, e Event) error { return n.note("dropped", e) }

func (n *notes) note(word string, e Event) error {
	if n.fail != nil {
		return n.fail
	}
	n.told = append(n.told, fmt.Sprintf("%s %d in %d", word, e.Data[0], e.Block))
	return nil
}

// watch is a fake chain that is watched.
type watch struct {
	*testing.T
	node, second *fakeNode
	journal      *railstest.Journal
	config       Config
	notes        *notes
	watcher      *Watcher
}

func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{T: t, node: &fakeNode{chain: 10, head: 100, final: 50}, journal: new(railstest.Journal), config: Config{Name: "fake", ChainID: 10, StartBlock: 1}}
	w.restart()
	return w
}

func (w *watch) restart() {
	w.Helper()
	w.notes = new(notes)
	nodes := []*Client{w.node.client(w.T)}
	if w.second != nil {
		nodes = append(nodes, w.second.client(w.T))
	}
	w.watcher = NewWatcher(w.config, nodes, w.journal, "test", Query{Addresses: []Address{{1}}, Topics: [][]Hash{{{2}}}}, w.notes)
}

func (w *watch) grow(head, final uint64) {
	w.node.set(func(n *fakeNode) { n.head, n.final = head, final })
}

// expect polls, and fails unless that is told.
func (w *watch) expect(want ...string) {
	w.Helper()
	w.notes.told = nil
	must(w.T, w.watcher.Poll(w.Context()))
	if !slices.Equal(w.notes.told, want) {
		w.Errorf("told %q, want %q", w.notes.told, want)
	}
}

func (w *watch) expectError(want error, text string) {
	w.Helper()
	w.notes.told = nil
	err := w.watcher.Poll(w.Context())
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) || len(w.notes.told) > 0 {
		w.Errorf("%v and told %q, want %v with %q", err, w.notes.told, want, text)
	}
}

func TestSeenThenFinal(t *testing.T) {
	w := newWatch(t)
	w.node.write(50, 1)
	w.node.write(51, 2)
	w.expect("final 1 in 50", "seen 2 in 51")
	w.expect()
	w.grow(101, 51)
	w.expect("final 2 in 51")
	w.expect()
	w.restart()
	w.expect("final 1 in 50", "final 2 in 51") // again, as nobody knows whether it was kept
}

func TestHandlerFails(t *testing.T) {
	for number, want := range map[uint64]string{998: "final 1 in 998", 1002: "seen 1 in 1002"} {
		w := newWatch(t)
		w.grow(1010, 1000)
		w.node.write(number, 1)
		w.notes.fail = errors.New("not kept")
		w.expectError(w.notes.fail, "")
		w.notes.fail = nil
		w.expect(want)
	}
}

// TestSegments shows that blocks are done in thousands, that only the last such one is read
// again, and that another process goes on there.
func TestSegments(t *testing.T) {
	w := newWatch(t)
	w.grow(3500, 2998)
	w.node.write(998, 1)
	w.node.write(2100, 2)
	w.expect("final 1 in 998", "final 2 in 2100")
	if s := w.watcher.Status(); s.Head != 3500 || s.Final != 2998 || s.Done != 1999 || s.At.IsZero() {
		t.Errorf("%+v", s)
	}
	w.grow(3501, 2999)
	w.expect()
	if s := w.watcher.Status(); s.Done != 2999 {
		t.Errorf("%+v", s)
	}
	w.node.set(func(n *fakeNode) { n.ranges = nil })
	w.restart()
	w.expect("final 2 in 2100")
	if want := [][2]uint64{{2000, 2999}, {3000, 3501}}; !slices.Equal(w.node.ranges, want) {
		t.Errorf("read %v, want %v", w.node.ranges, want)
	}
	w.grow(100_000, 99_999)
	w.expect()
	w.restart()
	w.node.set(func(n *fakeNode) { n.ranges = nil })
	w.expect()
	if want := [][2]uint64{{99_000, 99_999}, {100_000, 100_000}}; !slices.Equal(w.node.ranges, want) {
		t.Errorf("read %v, want %v", w.node.ranges, want)
	}
}

// TestLaggingNode shows a node that answers with no logs where there are some, which are
// found when the segment before the open one is read again.
func TestLaggingNode(t *testing.T) {
	w := newWatch(t)
	w.grow(1500, 1100)
	w.node.write(990, 1)
	w.node.set(func(n *fakeNode) { n.hidden = true })
	w.expect()
	w.node.set(func(n *fakeNode) { n.hidden = false })
	w.restart()
	w.expect("final 1 in 990")
}

// TestBehind shows an address behind which several nodes answer: one says where the chain
// is, and another one, which is not there yet, has the logs. Nothing is done of what it
// does not have.
func TestBehind(t *testing.T) {
	w := newWatch(t)
	w.grow(1010, 1005)
	w.node.write(990, 1)
	w.node.set(func(n *fakeNode) { n.behind = 30 })
	w.expectError(ErrNodes, "does not have block 999 yet")
	w.node.set(func(n *fakeNode) { n.behind = 0 })
	w.expect("final 1 in 990")

	w.node.write(1008, 2)
	w.expect("seen 2 in 1008")
	w.grow(1020, 1010)
	w.node.set(func(n *fakeNode) { n.behind = 15 })
	w.expectError(ErrNodes, "does not have block 1020 yet") // and not: dropped
	w.node.set(func(n *fakeNode) { n.behind = 0 })
	w.expect("final 2 in 1008")
}

// TestNullRounds shows Filecoin, where the last round of a segment had no block.
func TestNullRounds(t *testing.T) {
	w := newWatch(t)
	w.grow(1500, 1100)
	w.node.set(func(n *fakeNode) { n.null = []uint64{998, 999} })
	w.node.write(997, 1)
	w.expect("final 1 in 997")
	if done := w.watcher.Status().Done; done != 999 {
		t.Errorf("%d blocks are done", done)
	}
	w.restart()
	w.expect("final 1 in 997")
}

// TestRanges shows a node that takes few blocks at once.
func TestRanges(t *testing.T) {
	w := newWatch(t)
	w.grow(1500, 900)
	w.node.set(func(n *fakeNode) { n.maxRange = 100 })
	w.node.write(5, 1)
	w.node.write(501, 4) // the first one of the second half
	w.node.write(899, 2)
	w.node.write(1400, 3)
	w.expect("final 1 in 5", "final 4 in 501", "final 2 in 899", "seen 3 in 1400")
}

func TestDroppedBeforeFinal(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWatch(t)
		w.node.write(60, 1)
		w.node.write(70, 2)
		w.expect("seen 1 in 60", "seen 2 in 70")
		w.node.set(func(n *fakeNode) { n.logs = n.logs[1:] })
		w.expect() // it may come back
		if restarts {
			w.restart()
		}
		w.grow(110, 69)
		if restarts {
			w.expect("seen 2 in 70", "dropped 1 in 60")
		} else {
			w.expect("dropped 1 in 60")
		}
		w.expect()
		w.grow(110, 70)
		w.expect("final 2 in 70")
	}
}

// TestMoved shows a transaction that is in another block after a reorganization, in the
// same segment and in the next one.
func TestMoved(t *testing.T) {
	for _, to := range []uint64{996, 1003} {
		w := newWatch(t)
		w.grow(1010, 900)
		w.node.write(995, 1)
		w.expect("seen 1 in 995")
		w.node.set(func(n *fakeNode) { n.logs, n.forkAt, n.fork = nil, 994, 1 })
		w.node.write(to, 1)
		w.expect(fmt.Sprintf("seen 1 in %d", to))
		w.grow(1010, 995)
		w.expect()
		w.grow(1010, 1005)
		w.expect(fmt.Sprintf("final 1 in %d", to))
	}
}

func TestForked(t *testing.T) {
	w := newWatch(t)
	w.grow(1010, 1000)
	w.expect()
	w.node.set(func(n *fakeNode) { n.forkAt, n.fork = 999, 1 })
	w.expectError(ErrForked, "block 999 was")
	w.restart()
	w.expectError(ErrForked, "block 999 was")
	w.node.set(func(n *fakeNode) { n.fork = 0 })
	w.expect()
	w.node.set(func(n *fakeNode) { n.fork = 1 })
	w.node.write(990, 1)
	w.config.ReadAgain = 1
	w.restart()
	w.expect("final 1 in 990")
}

// TestFinalIsGone shows a final log that a node does not have any more, in a segment that is
// not done.
func TestFinalIsGone(t *testing.T) {
	w := newWatch(t)
	w.node.write(40, 1)
	w.expect("final 1 in 40")
	w.node.set(func(n *fakeNode) { n.logs = nil })
	w.expectError(ErrForked, "was in block")
	w.node.set(func(n *fakeNode) { n.forkAt, n.fork = 40, 1 })
	w.node.write(40, 1)
	w.expectError(ErrForked, "and is in")
}

// TestContradiction shows nodes that do not agree: nothing is final until they do.
func TestContradiction(t *testing.T) {
	w := newWatch(t)
	w.node.write(40, 1)
	w.node.set(func(n *fakeNode) { n.noReceipts = true })
	w.expectError(ErrNodes, "is not in the receipt that node 1 has")
	w.node.set(func(n *fakeNode) { n.noReceipts = false })

	w.second = &fakeNode{chain: 10, head: 90, final: 45}
	w.restart()
	w.expectError(ErrNodes, "is not in the receipt that node 2 has")
	w.second.write(40, 1)
	w.node.write(48, 2)
	w.second.write(48, 2)
	w.expect("final 1 in 40", "seen 2 in 48") // the second node is not there yet
	w.second.set(func(n *fakeNode) { n.final = 48 })
	w.expect("final 2 in 48")
	w.second.set(func(n *fakeNode) { n.chain = 11 })
	w.restart()
	w.expectError(ErrWrongChain, "it says 11, and the configuration 10")
}

// TestBlockOfALog shows a log in a block that is not the one at its height.
func TestBlockOfALog(t *testing.T) {
	w := newWatch(t)
	w.node.write(40, 1)
	w.node.set(func(n *fakeNode) { n.forkAt, n.fork = 40, 1 })
	w.expectError(ErrNodes, "which is not at height 40")
}

// TestStartsAtFinal shows a watcher without a start block: where it began holds.
func TestStartsAtFinal(t *testing.T) {
	w := newWatch(t)
	w.config.StartBlock = 0
	w.restart()
	w.node.write(49, 1)
	w.node.write(50, 2)
	w.expect("final 2 in 50")
	w.grow(200, 150)
	w.restart()
	w.expect("final 2 in 50")
	w.config.StartBlock = 1000
	w.restart()
	w.expect()
}

// TestStrangeLogs shows a node that gives logs nobody asked for.
func TestStrangeLogs(t *testing.T) {
	for _, change := range []func(*Log){
		func(l *Log) { l.Address = Address{9} },
		func(l *Log) { l.Topics = []Hash{{9}} },
		func(l *Log) { l.Topics = nil },
		func(l *Log) { l.BlockHash = Hash{} },
		func(l *Log) { l.TxHash = Hash{} },
		func(l *Log) { l.Removed = true },
	} {
		w := newWatch(t)
		w.node.write(40, 1)
		w.node.set(func(n *fakeNode) { change(&n.logs[0]) })
		if err := w.watcher.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "was not asked for") || len(w.notes.told) > 0 {
			t.Errorf("%v, told %q", err, w.notes.told)
		}
	}
}

// TestRepeat shows that polling goes on after an error, until the context ends.
func TestRepeat(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	polls, reports := 0, 0
	Repeat(ctx, 1, func(context.Context) error {
		if polls++; polls == 3 {
			cancel()
		}
		return errors.New("no answer")
	}, func(error) { reports++ })
	if polls != 3 || reports != 2 {
		t.Errorf("%d polls and %d reports", polls, reports)
	}
}
