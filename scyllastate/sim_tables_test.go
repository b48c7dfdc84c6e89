package scyllastate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// simTables are the tables as one process sees them, through a network that
// delays, loses and repeats its requests.
type simTables struct{ p *process }

var _ tables = simTables{}

func (t simTables) readPin(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error) {
	var r row
	err := t.p.ask(ctx, "read pin", label(c), func(w *world, d *draw) {
		if cons.IsSerial() {
			w.settleHanging(label(c))
		}
		r = w.pins.read(string(c.Bytes()), time.Now(), "rev", "prev", "pin")
	})
	if err != nil {
		return row{}, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	return r, nil
}

func (t simTables) readPins(ctx context.Context, cids []api.Cid) (map[string]row, error) {
	found := make(map[string]row)
	var labels []string
	for _, c := range cids {
		labels = append(labels, label(c))
	}
	err := t.p.ask(ctx, "read pins", strings.Join(labels, " "), func(w *world, d *draw) {
		for _, c := range cids {
			key := string(c.Bytes())
			if r := w.pins.read(key, time.Now(), "rev", "prev", "pin"); !r.absent() {
				found[key] = r
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (t simTables) swap(ctx context.Context, w *write) (bool, row, error) {
	if w.next == nil {
		return t.conditional(ctx, "remove", casRemove, w)
	}
	return t.conditional(ctx, "put", casPut, w)
}

func (t simTables) fence(ctx context.Context, w *write) (bool, row, error) {
	return t.conditional(ctx, "fence", casFence, w)
}

func (t simTables) conditional(ctx context.Context, kind, text string, wr *write) (bool, row, error) {
	var applied bool
	var now row
	o := opOf(ctx)
	if o == nil {
		t.p.fences(wr)
	}
	promise := o.promise()
	err := t.p.exchange(ctx, kind, label(wr.cid), func(w *world, again bool) {
		w.settleHanging(label(wr.cid))
		done, got := w.update(text, kind, t.p, wr, o, promise)
		if !again {
			applied, now = done, got
		}
	}, func(w *world) func(bool) {
		if !w.pins.would(text, wr, time.Now()) {
			return nil
		}
		return func(done bool) {
			if done {
				w.update(text, kind+" (late)", t.p, wr, o, promise)
			}
		}
	})
	t.p.world.mu.Lock()
	defer t.p.world.mu.Unlock()
	if err != nil {
		return false, row{}, err
	}
	return applied, now, nil
}

func (t simTables) listEverywhere(ctx context.Context, _ int, c api.Cid, _ gocql.UUID, _ int64) error {
	return t.p.exchange(ctx, "list everywhere", label(c), func(w *world, _ bool) { w.everywhere[c] = true }, nil)
}

func (t simTables) noteBucket(context.Context, string, int) error { return nil } // they are all read

// simChange is a row of changes.
type simChange struct {
	changeRow
	ticks   int64
	arrived time.Time
}

// simSlot is the key of a partition of changes.
type simSlot struct {
	feed string
	slot int64
}

func (t simTables) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	slot := simSlot{rows[0].Feed, slotOf(at)}
	made := make([]simChange, len(rows))
	for i, r := range rows {
		if r.Feed != slot.feed {
			panic("one batch for two partitions")
		}
		id := newUUID(at)
		made[i] = simChange{ticks: id.Timestamp(), changeRow: changeRow{
			at: id, cid: r.Cid, rev: r.Rev, kind: r.Kind, traceparent: r.Traceparent, peer: r.Peer, size: r.Size, text: r.Error,
		}}
		if r.Prev != nil {
			made[i].prev = *r.Prev
		}
	}
	return t.p.exchangeAppend(ctx, slot.feed, rows[0].Rev, func(w *world, again bool) {
		if again {
			return // the same rows once more
		}
		for i := range made {
			made[i].arrived = time.Now()
		}
		part := append(slices.Clone(w.changes[slot]), made...)
		slices.SortStableFunc(part, func(a, b simChange) int {
			return cmp.Or(cmp.Compare(a.ticks, b.ticks), strings.Compare(string(a.cid), string(b.cid)))
		})
		w.changes[slot] = part
		if w.tracing {
			for _, r := range rows {
				w.note("%s appends to %s: %s rev %s, time %s", t.p.name, w.feedName(slot.feed), w.label(r.Cid), stamp(r.Rev), at.Sub(w.start))
			}
		}
	})
}

func (t simTables) readChanges(ctx context.Context, feeds []string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	var part []simChange
	look := func(w *world, _ *draw) {
		for _, feed := range feeds {
			part = append(part, w.changes[simSlot{feed, slot}]...)
		}
	}
	if err := t.p.ask(ctx, "read changes", feeds[0], look); err != nil {
		return fmt.Errorf("slot %d of %s: %w", slot, feeds[0], err)
	}
	from, to := gocql.MaxTimeUUID(after).Timestamp(), gocql.MaxTimeUUID(upTo).Timestamp()
	for i, r := range part {
		if r.ticks <= from || r.ticks > to {
			continue
		}
		// Each row comes at an instant of its own. The work that the one
		// before has started must have come to a rest.
		time.Sleep(time.Duration(1 + i))
		if err := f(r.changeRow); err != nil {
			return err
		}
		t.p.saw(r)
	}
	return nil
}

func (t simTables) readCursor(ctx context.Context, feed, consumer string) (cursor, error) {
	var c cursor
	err := t.p.ask(ctx, "read cursor", feed+consumer, func(w *world, _ *draw) { c = w.cursors[feed+consumer] })
	return c, err
}

func (t simTables) openCursor(ctx context.Context, feed, consumer string, position time.Time) error {
	return t.p.exchange(ctx, "open cursor", feed+consumer, func(w *world, _ bool) {
		if is := w.cursors[feed+consumer]; is.holder == nil && is.position.IsZero() {
			w.cursors[feed+consumer] = cursor{position.Truncate(time.Millisecond), nil}
		}
	}, nil)
}

const (
	claimKind   = "claim cursor"
	compareKind = "claim comparison" // its position is none of the feed
)

func (t simTables) claimCursor(ctx context.Context, feed, consumer string, to cursor, holder *gocql.UUID) (bool, error) {
	kind := claimKind
	if consumer == comparisonConsumer {
		kind = compareKind
	}
	return t.moveCursorIf(ctx, kind, feed, consumer, to, holder)
}

func (t simTables) moveCursor(ctx context.Context, feed, consumer string, to cursor) (bool, error) {
	return t.moveCursorIf(ctx, "move cursor", feed, consumer, to, to.holder)
}

func (t simTables) moveCursorIf(ctx context.Context, kind, feed, consumer string, to cursor, holder *gocql.UUID) (bool, error) {
	var applied bool
	key := feed + consumer
	err := t.p.exchange(ctx, kind, key, func(w *world, again bool) {
		is := w.cursors[key].holder
		done := (is == nil) == (holder == nil) && (is == nil || *is == *holder)
		if done {
			// The database keeps milliseconds.
			w.cursors[key] = cursor{to.position.Truncate(time.Millisecond), to.holder}
			if kind == claimKind {
				t.p.took[feed] = simTook{w.cursors[key].position, time.Now()}
			}
			if kind != compareKind {
				t.p.passes(feed, to.position)
			}
			if w.tracing {
				w.note("%s: %s to %s", t.p.name, kind, to.position.Sub(w.start))
			}
		}
		if !again {
			applied = done
		}
	}, nil)
	t.p.world.mu.Lock()
	defer t.p.world.mu.Unlock()
	return applied && err == nil, err
}
