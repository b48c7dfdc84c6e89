package e2e

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// crashPoint is a place in the code at which a process may be killed.
type crashPoint struct {
	name, file string
	// anchor is text that the file has exactly once, and before says on which
	// side of it the place is.
	anchor string
	before bool
	// cid is an expression for the CID that is worked on there.
	cid string
}

// The files with crash points.
const (
	updateFile = "scyllastate/update.go"
	taskFile   = "scyllastate/feed_task.go"
	fenceFile  = "scyllastate/fence.go"
	feedFile   = "scyllastate/feed.go"
	workFile   = "peer/tracker/work.go"
	kuboFile   = "peer/tracker/kubo.go"
	noteFile   = "peer/tracker/note.go"
	moveFile   = "peer/reconcile/move.go"
	drainFile  = "peer/reconcile/drain.go"
	expiryFile = "peer/reconcile/expiry.go"
)

const (
	before = true
	after  = false
)

// crashPoints are all of them, in the order in which they are come by.
var crashPoints = []crashPoint{
	// The peer that a client calls.
	{"write: begun", updateFile, "s.at(beforeIntents, w)", after, "w.cid"},
	{"write: before its row of everywhere", updateFile, "if err := s.indexEverywhere(", before, "w.cid"},
	{"write: after its row of everywhere", updateFile, "if err := s.indexEverywhere(ctx, w.cid, w.rev); err != nil {\n\t\t\t\treturn err\n\t\t\t}", after, "w.cid"},
	{"write: before its row of expiries", updateFile, "if err := s.indexExpiry(", before, "w.cid"},
	{"write: after its row of expiries", updateFile, "if err := s.indexExpiry(ctx, w.cid, due); err != nil {\n\t\t\t\treturn err\n\t\t\t}", after, "w.cid"},
	{"write: before its intents", updateFile, "return s.intents.append(ctx, newIntents(ctx, w))", before, "w.cid"},
	{"write: after its intents", updateFile, "s.at(beforeCAS, w)", after, "w.cid"},
	{"write: after its CAS", updateFile, "s.at(afterCAS, w)", after, "w.cid"},

	// A peer that is to do something with the content.
	{"change: read", taskFile, "now, err := d.store.readRow(ctx, c, gocql.Quorum)", after, "crashSeen(c)"},
	{"pin: before IPFS is asked", workFile, "out = t.pin(ctx, *o.want.pin, o.row.depth)", before, "o.cid"},
	{"pin: after the answer of IPFS", workFile, "out = t.pin(ctx, *o.want.pin, o.row.depth)", after, "o.cid"},
	{"pin: before its row", noteFile, "if failed == nil {\n\t\t\trow.Size = t.sizeNow(ctx, row.Cid)\n\t\t}", after, "row.Cid"},
	{"pin: after its row", noteFile, "t.recent.Add(o.cid, row.Rev)", before, "o.cid"},
	{"pin: before the row for the wait", noteFile, "row := state.Placement{Cid: was.cid, Status: state.PlacementQueued,", before, "was.cid"},
	{"pin: after the row for the wait", noteFile, "t.end(o, e) // a start takes it up", before, "o.cid"},
	{"replace: before the recursive pin goes", kuboFile, "if err := t.opts.Daemon.Unpin(ctx, pin.Cid); err != nil {", before, "pin.Cid"},
	{"replace: after the recursive pin has gone", kuboFile, "return outcome{err: fmt.Errorf(\"replacing a recursive pin: %w\", err), unpins: true}\n\t}", after, "pin.Cid"},
	{"unpin: before the evidence is read", noteFile, "known, err := t.known(ctx, was)", before, "was.cid"},
	{"unpin: before its row", noteFile, "row := state.Placement{Cid: was.cid, Status: state.PlacementUnpinning, Rev: was.want.rev}", after, "was.cid"},
	{"unpin: after its row", noteFile, "t.enter(o, unpinQueued)", before, "o.cid"},
	{"unpin: before IPFS is asked", workFile, "out := outcome{err: t.unpin(ctx, o.cid, o.row.depth)}", before, "o.cid"},
	{"unpin: after the answer of IPFS", workFile, "out := outcome{err: t.unpin(ctx, o.cid, o.row.depth)}", after, "o.cid"},
	{"unpin: before the row is dropped", noteFile, "if err := t.opts.Store.DropPlacement(ctx, t.opts.Self, c); err != nil {", before, "c"},
	{"unpin: after the row is dropped", noteFile, "o.outcome, o.row = nil, rowKnown{read: true}", before, "o.cid"},
	// The cursor passes the change of the CID.
	{"cursor: before it passes", feedFile, "err := f.save(ctx, position)", before, "crashPassed(position)"},
	{"cursor: after it passed", feedFile, "t.out.saved()", after, "crashPassed(position)"},

	// A peer that ends the write of another one, and the loops.
	{"fence: before", fenceFile, "if old.pin == nil || w.next != nil {", before, "c"},
	{"fence: after", fenceFile, "s.at(afterCAS, w)", after, "c"},
	{"repin: before", moveFile, "if err := r.opts.Store.PutIf(ctx, *pin, rev); err != nil {", before, "c"},
	{"repin: after", moveFile, "logger.Debugf(\"the pin of %s, which %s held", before, "c"},
	{"hand-over: before", drainFile, "err = r.opts.Store.PutIf(ctx, *pin, rev)", before, "c"},
	{"hand-over: after", drainFile, "err = r.opts.Store.PutIf(ctx, *pin, rev)", after, "c"},
	{"expiry: before", expiryFile, "err = r.opts.Store.DeleteIf(ctx, c, rev)", before, "c"},
	{"expiry: after", expiryFile, "err = r.opts.Store.DeleteIf(ctx, c, rev)", after, "c"},
}

// Names of variables of the program with crash points. That of the first names a
// file: while it holds the name of a point and a CID, the process is killed when
// it comes by with that CID. It is a file, and no value, so that a process can be
// killed without having been started for that. The point is noted in the other.
const (
	crashAtEnv  = "CRASH_AT"
	crashLogEnv = "CRASH_LOG"
)

// crashSource is added to each package with crash points. Nothing returns from a
// crash: the end of a process takes a moment, in which it would go on.
const crashSource = `package %s

import (
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

type crashKey interface{ String() string }

func crashAt(point string, key crashKey) {
	armed, err := os.ReadFile(os.Getenv("` + crashAtEnv + `"))
	if err != nil || string(armed) != point+" "+key.String() {
		return
	}
	log, err := os.OpenFile(os.Getenv("` + crashLogEnv + `"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := log.Write(append(armed, '\n')); err != nil {
		panic(err)
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}

// crashChange is the change of the CID that the process is to be killed for.
var crashChange atomic.Pointer[struct {
	key  crashKey
	seen time.Time
}]

func crashSeen(key crashKey) crashKey {
	armed, err := os.ReadFile(os.Getenv("` + crashAtEnv + `"))
	was := crashChange.Load()
	if err == nil && strings.HasSuffix(string(armed), " "+key.String()) && (was == nil || was.key.String() != key.String()) {
		crashChange.Store(&struct {
			key  crashKey
			seen time.Time
		}{key, time.Now()})
	}
	return key
}

type crashNothing struct{}

func (crashNothing) String() string { return "nothing" }

// crashPassed returns that CID if the position is behind its change.
func crashPassed(position time.Time) crashKey {
	if change := crashChange.Load(); change != nil && position.After(change.seen) {
		return change.key
	}
	return crashNothing{}
}
`

// crashEdits are those that put all crash points into the code.
func crashEdits() (edits []overlay.Edit, added map[string]string) {
	added = make(map[string]string)
	for _, p := range crashPoints {
		call := fmt.Sprintf("crashAt(%s, %s)", strconv.Quote(p.name), p.cid)
		text := p.anchor + "\n" + call
		if p.before {
			text = call + "\n" + p.anchor
		}
		edits = append(edits, overlay.Edit{File: p.file, Old: p.anchor, New: text})
		dir := path.Dir(p.file)
		added[dir+"/crash_points.go"] = fmt.Sprintf(crashSource, path.Base(dir))
	}
	return edits, added
}

// arms is the file that says where a process is to be killed, and the one that
// notes where it was.
type arms struct{ at, log string }

func newArms(dir string) arms {
	return arms{filepath.Join(dir, "crash-at"), filepath.Join(dir, "crash-log")}
}

func (a arms) env() map[string]string { return map[string]string{crashAtEnv: a.at, crashLogEnv: a.log} }

// arm sets the point, an empty one for none.
func (a arms) arm(t *testing.T, point, cid string) {
	t.Helper()
	text := ""
	if point != "" {
		text = point + " " + cid
	}
	// At once, so that the process never reads a part.
	err := os.WriteFile(a.at+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(a.at+".new", a.at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// crashed tells how often the process was killed at the point.
func (a arms) crashed(t *testing.T, point, cid string) int {
	t.Helper()
	text, err := os.ReadFile(a.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), point+" "+cid+"\n")
}
