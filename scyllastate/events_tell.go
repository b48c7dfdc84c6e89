package scyllastate

import (
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// eventRow is one row of a feed of events.
type eventRow struct {
	change
	key  changeKey
	kind int8
	// other has all of a row that is not about the pinset, which is settled from the
	// beginning. It is nil for one that is.
	other *changeRow
}

func newEventRow(r changeRow) *eventRow {
	key := changeKey{at: r.at, cid: string(r.cid)}
	row := &eventRow{key: key, kind: r.kind, change: change{
		at: key.at.Time(), rev: r.rev, prev: r.prev, taken: time.Now(), traceparent: r.traceparent, fence: r.kind == kindEventFence,
	}}
	if r.kind > lastPinKind {
		row.other = &r
	}
	return row
}

func changesOf(rows []*eventRow) []change {
	changes := make([]change, len(rows))
	for i, r := range rows {
		changes[i] = r.change
	}
	return changes
}

// eventWork is what is done with one CID at once.
type eventWork struct {
	task *eventTask
	cid  string
	// rows are those of the pinset, of which the pending are not settled; others are the
	// rest.
	rows, pending, others []*eventRow
	// now is the pin, and unread why it is not known.
	now    row
	unread error
}

func newEventWork(t *eventTask, cid string, rows []*eventRow) *eventWork {
	w := &eventWork{task: t, cid: cid}
	for _, r := range rows {
		if r.other == nil {
			w.rows = append(w.rows, r)
		} else {
			w.others = append(w.others, r)
		}
	}
	return w
}

// done are the rows that are done when they have been handed on.
func (w *eventWork) done() []*eventRow { return append(slices.Clone(w.rows), w.others...) }

// tell makes those of the rows pending that are not settled, and returns what is told of
// the others. What cannot be read is passed over, as the dispatcher does.
func (w *eventWork) tell(told toldPins) []state.Event {
	c, err := api.CastCid([]byte(w.cid))
	if err != nil {
		logger.Errorf("passing over an event whose key 0x%x is not a CID: %s", w.cid, err)
		return nil
	}
	var events []state.Event
	all := w.rows
	w.rows = nil
	for i, settled := range settle(w.now, changesOf(all)) {
		if settled && w.unread == nil {
			w.rows = append(w.rows, all[i])
		} else {
			w.pending = append(w.pending, all[i])
		}
	}
	if len(w.rows) > 0 {
		event, err := pinEvent(c, w.now, w.rows)
		switch {
		case err != nil:
			logger.Errorf("passing over an event: %s", err)
		case told.isNews(w.cid, event.Rev):
			events = append(events, event)
		}
	}
	return append(events, othersEvents(w.others)...)
}

// pinEvent is what is told of a CID whose rows are settled: its pin as it is now, and the
// kind of the write that has made it so.
func pinEvent(c api.Cid, now row, settled []*eventRow) (state.Event, error) {
	pin, err := now.decode(c)
	if err != nil {
		return state.Event{}, err
	}
	cause := writeOf(now, settled)
	rev := now.rev
	if now.absent() { // the marker of its removal has run out: it had no later revision than these
		for _, r := range settled {
			if later(r.rev, rev) {
				rev = r.rev
			}
		}
	}
	return state.Event{
		Kind: pinEventOf(cause.kind, pin != nil), Cid: c, At: state.Revision(cause.key.at),
		Rev: state.Revision(rev), Pin: pin, Traceparent: cause.traceparent,
	}, nil
}

// writeOf is the row of the write that has made a pin what it is now: the newest that can
// have been made. If there is none, those come next that were not made, and fences last.
func writeOf(now row, settled []*eventRow) *eventRow {
	rank := func(r *eventRow) int {
		switch {
		case r.fence:
			return 0
		case !now.absent() && later(r.rev, now.rev):
			return 1
		default:
			return 2
		}
	}
	best := settled[0]
	for _, r := range settled[1:] {
		if a, b := rank(r), rank(best); a > b || a == b && later(r.rev, best.rev) {
			best = r
		}
	}
	return best
}

// toldPins remembers what was told of pins last, so that it is not told again: of as many
// as have rows that may be read again.
type toldPins struct {
	revs *lru.Cache[string, gocql.UUID]
}

func newToldPins() (toldPins, error) {
	revs, err := lru.New[string, gocql.UUID](eventsKnown)
	if err != nil {
		return toldPins{}, fmt.Errorf("making the memory of what was told: %w", err)
	}
	return toldPins{revs}, nil
}

// isNews reports whether a pin event is newer than the last one of that CID.
func (t toldPins) isNews(cid string, rev state.Revision) bool {
	last, known := t.revs.Get(cid)
	return !known || later(gocql.UUID(rev), last)
}

// note takes events that were told.
func (t toldPins) note(events []state.Event) {
	for _, e := range events {
		if e.Status == nil && e.Peer == nil {
			t.revs.Add(string(e.Cid.Bytes()), gocql.UUID(e.Rev))
		}
	}
}

// othersEvents are what rows tell that are not about the pinset, in their order. Those
// that cannot be read are passed over.
func othersEvents(rows []*eventRow) []state.Event {
	out := make([]state.Event, 0, len(rows))
	for _, r := range rows {
		e, err := otherEvent(*r.other)
		if err != nil {
			logger.Errorf("passing over an event that was noted at %s: %s", r.at, err)
			continue
		}
		out = append(out, e)
	}
	return out
}
