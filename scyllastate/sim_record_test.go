package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// op is one call of a writer. It travels in the context of the call.
type op struct {
	name  string
	kind  opKind
	cid   api.Cid
	start time.Time
	end   time.Time
	state opState
	err   error
	// saw is the name of the pin that the function of an Update saw last, and
	// rev what a conditional write asserts.
	saw string
	rev gocql.UUID
	// got is the name of the pin that a Get returned.
	got string
	// applied is how often its write was applied.
	applied int
	// fences is how often in sequence it lost to a fence.
	fences int
}

type opKind string

const (
	opAdd      opKind = "add"
	opRm       opKind = "rm"
	opUpdate   opKind = "update"
	opPutIf    opKind = "putif"
	opDeleteIf opKind = "deleteif"
	opGet      opKind = "get"
)

type opState int

const (
	opRunning opState = iota // for ever, when its process crashes
	opDone
	opRefused
	opUnknown
)

func (s opState) String() string {
	return [...]string{"running", "acknowledged", "refused", "unknown"}[s]
}

type opKey struct{}

func withOp(ctx context.Context, o *op) context.Context { return context.WithValue(ctx, opKey{}, o) }

// opOf returns nil for what no writer has called: a fence.
func opOf(ctx context.Context) *op {
	o, _ := ctx.Value(opKey{}).(*op)
	return o
}

func (o *op) title() string {
	if o == nil {
		return "a fence"
	}
	return fmt.Sprintf("%s (%s)", o.name, o.kind)
}

// promise is what a write asserts when it is sent.
type promise struct {
	saw string
	rev gocql.UUID
}

func (o *op) promise() promise {
	if o == nil {
		return promise{}
	}
	return promise{saw: o.saw, rev: o.rev}
}

// record is what happened to the pins.
type record struct {
	last    map[string]gocql.UUID // revision by CID
	revs    map[gocql.UUID]string // name of the pin by revision
	history map[string][]simState // by CID
	fenced  map[gocql.UUID]bool   // revisions that are those of fences
	ops     []*op
}

// simState is the name of a pin from a time on, empty for none.
type simState struct {
	from time.Time
	name string
}

func newRecord() record {
	return record{
		last: make(map[string]gocql.UUID), revs: make(map[gocql.UUID]string), history: make(map[string][]simState),
		fenced: make(map[gocql.UUID]bool),
	}
}

// nameOf decodes the name of the pin in a row.
func nameOf(c api.Cid, r row) string {
	pin, err := r.decode(c)
	if err != nil {
		return err.Error()
	}
	if pin == nil {
		return ""
	}
	return pin.Name
}

// applied records that a conditional update was applied, and checks what must
// hold then. The caller holds the lock.
func (w *world) applied(wr *write, before row, o *op, promise promise) {
	rec := &w.record
	cid := string(wr.cid.Bytes())
	after := w.pins.read(cid, time.Now(), "rev", "prev", "pin")
	name := nameOf(wr.cid, after)
	if last := rec.last[cid]; !later(wr.rev, last) {
		w.fail("the revision of %s goes from %s back to %s", label(wr.cid), stamp(last), stamp(wr.rev))
	}
	rec.last[cid] = wr.rev
	rec.revs[wr.rev] = name
	rec.history[cid] = append(rec.history[cid], simState{time.Now(), name})
	was := nameOf(wr.cid, before)
	if o == nil {
		rec.fenced[wr.rev] = true
		if name != was {
			w.fail("a fence changed %s from %q to %q", label(wr.cid), was, name)
		}
		return
	}
	o.applied++
	switch {
	case o.applied > 1:
		w.fail("%s of %s was applied %d times", o.title(), label(wr.cid), o.applied)
	case o.state == opRefused:
		w.fail("%s of %s was refused (%v) and is applied", o.title(), label(wr.cid), o.err)
	case o.state == opDone:
		w.fail("%s of %s was acknowledged before it is applied", o.title(), label(wr.cid))
	case o.kind == opUpdate && was != promise.saw:
		w.fail("%s of %s decided on %q and replaced %q", o.title(), label(wr.cid), promise.saw, was)
	case (o.kind == opPutIf || o.kind == opDeleteIf) && before.rev != promise.rev:
		w.fail("%s of %s if rev %s replaced rev %s", o.title(), label(wr.cid), stamp(promise.rev), stamp(before.rev))
	}
	if want := map[bool]string{true: "", false: o.name}[o.kind == opRm || o.kind == opDeleteIf]; name != want {
		w.fail("%s made %s %q", o.title(), label(wr.cid), name)
	}
}

// ended records what a call returned. The caller holds the lock.
func (w *world) ended(o *op) {
	w.moved = time.Now()
	w.note("%s of %s ends: %s %v", o.title(), label(o.cid), o.state, o.err)
	if o.state == opRefused && o.applied > 0 {
		w.fail("%s of %s is refused (%v) and was applied", o.title(), label(o.cid), o.err)
	}
	if o.state != opDone || o.applied > 0 {
		return
	}
	switch o.kind {
	case opGet:
		if !w.had(o, o.got) {
			w.fail("%s of %s returned %q, which it was not at that time", o.title(), label(o.cid), o.got)
		}
	case opRm:
		if !w.had(o, "") {
			w.fail("%s of %s is acknowledged and was not applied", o.title(), label(o.cid))
		}
	default:
		w.fail("%s of %s is acknowledged and was not applied", o.title(), label(o.cid))
	}
}

// had reports whether the CID of o had a pin of that name while o ran.
func (w *world) had(o *op, name string) bool {
	at := simState{}
	for _, s := range w.record.history[string(o.cid.Bytes())] {
		if !s.from.Before(o.start) && at.name == name {
			return true // at the start, or between two changes
		}
		if s.from.After(o.end) {
			return false
		}
		at = s
	}
	return at.name == name
}
