package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// eventPoint is a place in the code at which a process may be killed, of what tells events
// and receives them.
type eventPoint struct {
	name, file string
	// anchor and before are those of a crashPoint.
	anchor string
	before bool
	// code is what is put there, with NAME for the name. crashAt kills the process
	// itself, crashServer that of NATS. The key is a CID, or crashShard where the place
	// is about a whole shard.
	code string
}

// ofShard says that the key of the point is a shard.
func (p eventPoint) ofShard() bool { return strings.Contains(p.code, "crashShard(") }

// The files with points of events.
const (
	tellFile      = "scyllastate/events_step.go"
	publisherFile = "events/bus/publisher.go"
	againFile     = "events/bus/replay.go"
	turnFile      = "events/relay/turn.go"
	receiveFile   = "events/consume/work.go"
	handleFile    = "events/consume/handle.go"
	replaysFile   = "events/consume/replays.go"
	deadFile      = "events/consume/dead.go"
)

// onlySaved begins code for when the consumer has saved all that it has handled. Where it
// should have, and has not, nothing is killed, which fails the cell.
const onlySaved = "if text, err := r.state.encode(); err == nil && string(text) == string(r.saved) {\n"

// eventPoints are all of them, in the order in which they are come by.
var eventPoints = []eventPoint{
	// Who writes a pin.
	{"write: its events are announced", updateFile, "s.at(beforeCAS, w)", after, "crashAt(NAME, w.cid)"},
	{"write: before the wake-up", updateFile, "s.nudges.wrote(w.feeds)", before, "crashAt(NAME, w.cid)"},

	// Who has pinned or unpinned.
	{"status: not told", noteFile, "if err := t.tellRow(ctx, was, row); err != nil { // the size is known now", before, "crashAt(NAME, was.cid)"},
	{"status: told, no row", noteFile, "if err := t.tellRow(ctx, was, row); err != nil { // the size is known now\n\t\t\treturn nil, err\n\t\t}", after, "crashAt(NAME, was.cid)"},
	{"dropped: not told", noteFile, "if err := t.tellDropped(ctx, was); err != nil {", before, "crashAt(NAME, was.cid)"},
	{"dropped: told, the row is there", noteFile, "if err := t.tellDropped(ctx, was); err != nil {\n\t\t\treturn nil, err\n\t\t}", after, "crashAt(NAME, was.cid)"},

	// The relay of the shard.
	{"relay: it has the lease", turnFile, "t.epoch = epoch", after, "crashAt(NAME, crashShard(t.shard))"},
	{"relay: the feed is open", turnFile, `logger.Infof("telling the events of shard`, before, "crashAt(NAME, crashShard(t.shard))"},
	{"relay: the resume is published", publisherFile, "p.stored = p.last\n\tp.announced = true", before, "crashAt(NAME, crashShard(p.shard))"},
	{"batch: sent", publisherFile, "for _, ack := range acks[max(0, len(acks)-window):] {", before, "for _, m := range batch {\n\tcrashServer(\"server, \"+NAME, crashID(m.ID))\n\tcrashAt(NAME, crashID(m.ID))\n}"},
	{"batch: stored", publisherFile, "p.stored = p.last\n\tif through.After(p.through)", before, "for _, m := range batch {\n\tcrashServer(\"server, \"+NAME, crashID(m.ID))\n\tcrashAt(NAME, crashID(m.ID))\n}"},
	{"batch: published, the cursor is not saved", turnFile, "t.failing = time.Time{}", after, "for _, f := range facts {\n\tcrashAt(NAME, f.Cid)\n}"},
	{"batch: seen", tellFile, "e.handed, e.handedAt = through, time.Now()", after, "for _, f := range events {\n\tcrashSeen(f.Cid)\n}"},
	{"manifest: published", turnFile, "t.manifested, t.upTo = time.Now(), t.publisher.Through()", before, "if t.upTo.Before(t.publisher.Latest()) {\n\tcrashAt(NAME, crashShard(t.shard))\n}"},
	{"events: before the cursor passes", feedFile, "err := f.save(ctx, position)", before, "if f.consumer == eventConsumer {\n\tcrashAt(NAME, crashPassed(position))\n}"},
	{"events: after the cursor passed", feedFile, "t.out.saved()", after, "if f.consumer == eventConsumer {\n\tcrashAt(NAME, crashPassed(position))\n}"},
	{"replay: in the middle", againFile, "return r.bus.Explain(err, start, \"replaying shard %d\", r.header.Shard)\n\t}", after, "crashServer(\"server, \"+NAME, crashShard(r.header.Shard))\ncrashAt(NAME, crashShard(r.header.Shard))"},

	// The consumer.
	{"consumer: before the handler", handleFile, "if err := c.attempt(ctx, e); err != nil {", before, "crashAt(NAME, crashText(e.Subject()))"},
	{"consumer: handled", handleFile, "c.told.Add(key, version)", before, "crashAt(NAME, crashText(e.Subject()))"},
	{"consumer: handled, not saved", receiveFile, "// What was handled is saved also at the end.", before, "for i, n := range handled {\n\tfor _, it := range parts[i][:n] {\n\t\tcrashAt(NAME, crashSubject(it.msg.Data()))\n\t}\n}"},
	{"consumer: saved, not acknowledged", receiveFile, "for _, m := range done {", before, onlySaved + "for _, m := range done {\n\tcrashServer(\"server, \"+NAME, crashSubject(m.Data()))\n\tcrashAt(NAME, crashSubject(m.Data()))\n}\n}"},
	{"consumer: acknowledged", receiveFile, "return after, again, failed", before, "_ = r.opts.Bus.JetStream().Conn().Flush()\n" + onlySaved + "for _, m := range done {\n\tcrashServer(\"server, \"+NAME, crashSubject(m.Data()))\n\tcrashAt(NAME, crashSubject(m.Data()))\n}\n}"},
	{"consumer: it waits for a replay", replaysFile, "if !slices.Contains(a.names, got.name) {", before, "crashAt(NAME, crashShard(got.shard))"},
	{"consumer: it has a part of a replay", replaysFile, "if h.N == p.n+1 {", before, "crashAt(NAME, crashSubject(it.msg.Data()))"},
	{"consumer: it has a replay", replaysFile, "if s.replayed(told) {", before, "crashAt(NAME, crashShard(i))"},
	{"consumer: put aside, not acknowledged", deadFile, "c.stats.dead.Add(1)", before, "crashServer(\"server, \"+NAME, crashSubject(msg.Data()))\ncrashAt(NAME, crashSubject(msg.Data()))"},
}

// eventPace are edits by which nobody waits for long: how often things happen is not what
// is tested.
var eventPace = []overlay.Edit{
	{File: "events/relay/relay.go", Old: "const DefaultLeaseTTL = 15 * time.Second", New: "const DefaultLeaseTTL = 4 * time.Second"},
	{File: turnFile, Old: "manifestIdle  = time.Minute", New: "manifestIdle  = 5 * time.Second"},
}

// crashServerEnv names the variable with the file that has the number of the process of
// NATS.
const crashServerEnv = "CRASH_SERVER"

// crashEventsSource is added to each package with points of events, with crashSource.
const crashEventsSource = `package %s

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
)

type crashText string

func (t crashText) String() string { return string(t) }

func crashShard(shard int) crashKey { return crashText("shard-" + strconv.Itoa(shard)) }

// crashID returns the CID in the ID of an event.
func crashID(id string) crashKey {
	subject, _, _ := strings.Cut(id, "/")
	return crashText(subject)
}

// crashSubject returns the CID of an encoded event.
func crashSubject(data []byte) crashKey {
	var event struct{ Subject string }
	_ = json.Unmarshal(data, &event)
	return crashText(event.Subject)
}

// crashServer kills NATS, once, and goes on.
func crashServer(point string, key crashKey) {
	armed, err := os.ReadFile(os.Getenv("` + crashAtEnv + `"))
	if err != nil || string(armed) != point+" "+key.String() {
		return
	}
	number, err := os.ReadFile(os.Getenv("` + crashServerEnv + `"))
	if err != nil {
		panic(err)
	}
	pid, err := strconv.Atoi(string(number))
	if err != nil {
		panic(err)
	}
	if err := os.Remove(os.Getenv("` + crashAtEnv + `")); err != nil {
		panic(err)
	}
	log, err := os.OpenFile(os.Getenv("` + crashLogEnv + `"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := log.Write(append(armed, '\n')); err != nil {
		panic(err)
	}
	_ = log.Close()
	_ = syscall.Kill(pid, syscall.SIGKILL)
}
`

// eventEdits are those that put all points of events into the code.
func eventEdits() (edits []overlay.Edit, added map[string]string) {
	edits, added = append(edits, eventPace...), make(map[string]string)
	for _, p := range eventPoints {
		code := strings.ReplaceAll(p.code, "NAME", strconv.Quote(p.name))
		text := p.anchor + "\n" + code
		if p.before {
			text = code + "\n" + p.anchor
		}
		edits = append(edits, overlay.Edit{File: p.file, Old: p.anchor, New: text})
		dir := path.Dir(p.file)
		added[dir+"/crash_points.go"] = fmt.Sprintf(crashSource, path.Base(dir))
		added[dir+"/crash_events.go"] = fmt.Sprintf(crashEventsSource, path.Base(dir))
	}
	return edits, added
}

// TestEventsCrashPoints: each point, also those of TestCrashMatrix, is at one place of the
// code as it is now, and the cells name no others.
func TestEventsCrashPoints(t *testing.T) {
	t.Parallel()
	edits, _ := crashEdits()
	more, _ := eventEdits()
	edits = append(edits, more...)
	if err := overlay.Check("../..", edits); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, p := range eventPoints {
		if names[p.name] {
			t.Errorf("there are two points %q", p.name)
		}
		names[p.name] = true
	}
	for _, cell := range eventCells() {
		for _, point := range cell.points() {
			if !names[strings.TrimPrefix(point, onServer)] {
				t.Errorf("%s: there is no such point", cell)
			}
		}
	}
}

// crashPrograms builds the service with all crash points, and the program with a consumer and
// a NATS server with those of events: once, for both matrices.
var crashPrograms = sync.OnceValues(func() (programs [2]string, err error) {
	dir, err := builds()
	if err != nil {
		return programs, err
	}
	source, err := os.ReadFile("testdata/eventscrash/main.go")
	if err != nil {
		return programs, err
	}
	edits, added := crashEdits()
	more, addedMore := eventEdits()
	edits = append(edits, more...)
	maps.Copy(added, addedMore)
	added["cmd/crash-events/main.go"] = string(source)
	for i, name := range []string{"ipfs-cluster-service", "crash-events"} {
		work := filepath.Join(dir, "crashing-"+name)
		if err := os.Mkdir(work, 0o700); err != nil {
			return programs, err
		}
		if programs[i], err = overlay.Program(context.Background(), "../..", "./cmd/"+name, work, edits, added); err != nil {
			return programs, err
		}
	}
	return programs, nil
})

// buildCrashing builds the service with all crash points, and the program that is killed
// beside it in the matrix of events.
func buildCrashing(t *testing.T) (service, others string) {
	t.Helper()
	programs, err := crashPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return programs[0], programs[1]
}
