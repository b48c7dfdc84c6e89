package scyllastate

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestEventsTellTheTruth: each write is told once, with the pin that it has made and what
// kind of write it was.
func TestEventsTellTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		kinds := []state.EventKind{}
		for _, w := range []struct {
			kind int8
			told state.EventKind
		}{
			{kindAccepted, state.EventAccepted}, {kindUpdated, state.EventUpdated}, {kindReallocated, state.EventReallocated},
			{kindExpired, state.EventExpired}, {kindAccepted, state.EventAccepted}, {kindUnpinned, state.EventUnpinned},
		} {
			row := r.write(w.kind, "a")
			kinds = append(kinds, w.told)
			r.settles()
			r.want("a", kinds...)
			got := r.of("a")
			if e := got[len(got)-1]; e.At != state.Revision(row.at) || e.Traceparent != "trace of a" {
				t.Errorf("%+v is told of the row %+v", e, row)
			}
		}
		time.Sleep(time.Hour)
		r.want("a", kinds...)
	})
}

// TestEventsCoalesce: of several writes the last one is told, and what was told is not
// told again for a write that came to nothing.
func TestEventsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		r.write(kindAccepted, "a")
		r.write(kindUpdated, "a")
		lost := r.announce(kindUnpinned, "a")
		time.Sleep(time.Millisecond)
		r.write(kindReallocated, "a")
		if r.make(lost) {
			t.Fatal("both writes were made")
		}
		r.settles()
		r.want("a", state.EventReallocated)
		late := lost
		late.at = newUUID(time.Now()) // appended again
		r.feedRig.mu.Lock()
		r.rows[eventsName] = append(r.rows[eventsName], late)
		r.feedRig.mu.Unlock()
		time.Sleep(time.Minute)
		r.want("a", state.EventReallocated)
	})
}

// TestEventsWaitForTheWriter: what a writer may yet write is not told, and the position
// does not pass it, while others are told. When it has written it is told. One that never
// does is fenced.
func TestEventsWaitForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		window := r.store.lim.window()
		slow := r.announce(kindAccepted, "slow")
		dead := r.announce(kindAccepted, "dead")
		for _, w := range []changeRow{slow, dead} { // it is known that they need four windows
			r.store.deadlines.losses.Add(string(w.cid), loss{times: 2})
		}
		for i := range int(2 * window / time.Second) {
			r.write(kindAccepted, fmt.Sprint("fine ", i))
			time.Sleep(time.Second)
			synctest.Wait()
			r.want(fmt.Sprint("fine ", i), state.EventAccepted)
		}
		r.want("slow")
		r.make(slow)
		time.Sleep(4*window/looksPerWait + eventProgress)
		r.want("slow", state.EventAccepted)
		if r.passed().After(dead.at.Time()) {
			t.Errorf("it has passed a write that may yet be made")
		}
		if r.fences() > 0 {
			t.Fatal("a writer was fenced before it had its time")
		}
		time.Sleep(3 * window)
		if n := r.fences(); n != 1 {
			t.Fatalf("%d writers were fenced", n)
		}
		if r.make(dead) {
			t.Error("the write was made that was fenced")
		}
		r.want("dead", state.EventUnpinned)
		time.Sleep(2 * window)
		if r.passed().Before(dead.at.Time()) {
			t.Error("it does not pass a write that was fenced")
		}
	})
}

// TestEventsComeAgain: what the handler has refused comes again, with what has come since
// and before what comes later, and the position stays.
func TestEventsComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t, func(r *eventRig) {
			r.refuse = func([]state.Event) error {
				time.Sleep(time.Minute)
				return errors.New("not now")
			}
		})
		r.write(kindAccepted, "a")
		r.note(mustIntent(t, "b", state.EventPinned))
		began := time.Now()
		time.Sleep(time.Minute / 2) // the others come while it is at that
		r.write(kindUpdated, "a")
		r.note(mustIntent(t, "b", state.EventDropped))
		r.write(kindAccepted, "c")
		time.Sleep(20 * time.Minute)
		if p := r.passed(); p.After(began) {
			t.Fatalf("events are told up to %s", p.Sub(began))
		}
		for _, p := range r.cursor() {
			if p.After(began) {
				t.Fatalf("the cursor was moved by %s", p.Sub(began))
			}
		}
		r.mu.Lock()
		if n := len(r.tried); n > 4*20 || n < 4*10 || len(r.told) > 0 {
			t.Errorf("%d events were tried, %d are told", n, len(r.told))
		}
		r.refuse = nil
		r.mu.Unlock()
		time.Sleep(time.Minute + lastRetry + r.store.lim.window() + saveIdle)
		r.want("a", state.EventUpdated)
		r.want("b", state.EventPinned, state.EventDropped)
		r.want("c", state.EventAccepted)
		saves := r.cursor()
		if r.passed().Before(began.Add(time.Minute)) || len(saves) == 0 || saves[len(saves)-1].Before(began.Add(time.Minute)) {
			t.Errorf("it stays at %s, the cursor at %v", r.passed(), saves)
		}
	})
}

// TestStatusesDoNotWait: what peers did is told in its order while a write is open.
func TestStatusesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		r.announce(kindAccepted, "a")
		for _, kind := range []state.EventKind{state.EventFailed, state.EventPinned, state.EventSized} {
			r.note(mustIntent(t, "a", kind))
			time.Sleep(time.Millisecond)
		}
		r.settles()
		r.want("a", state.EventFailed, state.EventPinned, state.EventSized)
	})
}

// TestEventsGoOnBesideUnreadable: a pin that cannot be read holds up no other, row and key
// that are not to be read are passed over, and what can be read again is told.
func TestEventsGoOnBesideUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := statetest.Cid("down")
		r := newEventRig(t, func(r *eventRig) {
			r.down, r.takes = map[string]bool{string(down.Bytes()): true}, 8*time.Second
		})
		r.write(kindAccepted, "down")
		broken := r.write(kindAccepted, "broken")
		r.feedRig.mu.Lock()
		r.pins[string(broken.cid)] = row{rev: broken.rev, pin: []byte{0xff}}
		no := changeRow{at: newUUID(time.Now()), cid: []byte("no CID"), rev: broken.rev, kind: kindAccepted}
		unknown := changeRow{at: newUUID(time.Now()), cid: down.Bytes(), rev: broken.rev, kind: 99}
		r.rows[eventsName] = append(r.rows[eventsName], no, unknown)
		r.feedRig.mu.Unlock()
		for i := range 100 {
			r.write(kindAccepted, fmt.Sprint(i))
		}
		r.settles()
		time.Sleep(r.takes) // it is read once together with others
		for i := range 100 {
			r.want(fmt.Sprint(i), state.EventAccepted)
		}
		for i := range 120 {
			label := fmt.Sprint("after ", i)
			r.write(kindAccepted, label)
			time.Sleep(time.Second)
			r.want(label, state.EventAccepted)
		}
		r.feedRig.mu.Lock()
		looks := r.looks
		r.feedRig.mu.Unlock()
		time.Sleep(10 * time.Minute)
		r.feedRig.mu.Lock()
		looks, r.looks = r.looks-looks, 0
		r.down = nil
		r.feedRig.mu.Unlock()
		if most := int(10*time.Minute/lastRetry) + 20; looks > most {
			t.Errorf("what cannot be read is asked for %d times in 10 minutes, want %d at most", looks, most)
		}
		time.Sleep(lastRetry + r.takes)
		r.want("down", state.EventAccepted)
		r.want("broken")
		time.Sleep(r.store.lim.window() + eventProgress)
		if behind := time.Since(r.passed()); behind > 2*r.store.lim.window() {
			t.Errorf("it is %s behind", behind)
		}
	})
}

// TestEventsInBatches: many events come in few calls and statements, and none is lost.
func TestEventsInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		const n = 20 * eventBatch
		for i := range n {
			r.write(kindAccepted, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.told) != n || r.largest > eventBatch {
			t.Errorf("%d events of %d were told, %d at once", len(r.told), n, r.largest)
		}
		if most := 60 + 3*n/eventBatch; r.calls > most {
			t.Errorf("%d calls for %d events, want %d at most", r.calls, n, most)
		}
		r.feedRig.mu.Lock()
		defer r.feedRig.mu.Unlock()
		if most := 3 * n / versionsAtOnce; r.looks > most {
			t.Errorf("%d statements for %d events, want %d at most", r.looks, n, most)
		}
	})
}

// TestEventsProgress: it is told now and then how far a quiet feed was read, and the
// cursor follows. It is looked at seldom, and at once when this process writes to it.
func TestEventsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		time.Sleep(10 * time.Minute)
		r.feedRig.mu.Lock()
		if reads, most := r.reads[eventsName], int((quietAfter/pollEvery)+10*time.Minute/eventIdle); reads > most {
			t.Errorf("%d reads in ten minutes, want %d at most", reads, most)
		}
		r.feedRig.mu.Unlock()
		r.write(kindAccepted, "a")
		r.store.nudges.wake([]string{eventsName})
		time.Sleep(2 * wakeEvery)
		r.want("a", state.EventAccepted)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls < 400 || r.calls > 601 {
			t.Errorf("%d calls in ten minutes", r.calls)
		}
		if behind := time.Since(r.through); behind > r.store.lim.window()+2*eventProgress {
			t.Errorf("it is %s behind", behind)
		}
		saves := r.cursor()
		if len(saves) == 0 {
			t.Fatal("the cursor does not move")
		}
		if last := saves[len(saves)-1]; last.After(r.through) || r.through.Sub(last) > 2*saveIdle || len(saves) > 61 {
			t.Errorf("the cursor is at %s, %d times saved", last, len(saves))
		}
	})
}

// TestEventsSaveAtTheEnd: the next reader begins where this one ends.
func TestEventsSaveAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t)
		time.Sleep(saveIdle + r.store.lim.window() + 12*time.Second)
		before := r.cursor()
		r.end()
		after := r.cursor()
		if last := after[len(after)-1]; !last.Equal(r.passed()) || last.Equal(before[len(before)-1]) {
			t.Errorf("the cursor is %s behind", r.passed().Sub(last))
		}
	})
}

// TestEventsDoNotFillTheMemory: reading waits while the handler does not take what was
// read, and goes on.
func TestEventsDoNotFillTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &eventRig{feedRig: newTablesRig(t)}
		r.pins = make(map[string]row)
		r.store.eventsSince = time.Now()
		feed := &Feed{store: r.store, name: eventsName, consumer: eventConsumer, now: time.Now, position: time.Now()}
		reader, err := newEventReader(feed, r.handle)
		must(t, err)
		const room, n = 100, 1000
		reader.slots, reader.known = make(chan struct{}, room), 2*room
		r.refuse = func([]state.Event) error { return errors.New("not now") }
		done := make(chan error, 1)
		ctx := t.Context()
		go func() { done <- feed.consume(ctx, newTail(feed, reader)) }()
		time.Sleep(time.Millisecond)
		for i := range n {
			r.write(kindAccepted, fmt.Sprint(i))
		}
		time.Sleep(5 * time.Minute)
		reader.mu.Lock()
		if len(reader.rows) > 2*room {
			t.Errorf("%d rows are kept", len(reader.rows))
		}
		reader.mu.Unlock()
		r.mu.Lock()
		r.refuse = nil
		r.mu.Unlock()
		time.Sleep(5 * time.Minute)
		for i := range n {
			if len(r.of(fmt.Sprint(i))) == 0 {
				t.Fatalf("event %d is not told", i)
			}
		}
	})
}

// TestWriteOf: which write has made a pin what it is.
func TestWriteOf(t *testing.T) {
	start := time.Now()
	rev := func(n int) gocql.UUID { return newUUID(start.Add(time.Duration(n) * time.Second)) }
	one, two, three := rev(1), rev(2), rev(3)
	row1 := func(kind int8, rev gocql.UUID) *eventRow {
		return newEventRow(changeRow{at: rev, rev: rev, kind: kind})
	}
	for name, tt := range map[string]struct {
		now  gocql.UUID
		rows []*eventRow
		want int8
	}{
		"the one that is there":  {two, []*eventRow{row1(kindAccepted, one), row1(kindUpdated, two)}, kindUpdated},
		"not a later one":        {two, []*eventRow{row1(kindUnpinned, three), row1(kindUpdated, two), row1(kindAccepted, one)}, kindUpdated},
		"fenced afterwards":      {three, []*eventRow{row1(kindEventFence, three), row1(kindReallocated, two)}, kindReallocated},
		"only a fence":           {two, []*eventRow{row1(kindEventFence, two)}, kindEventFence},
		"fenced before":          {one, []*eventRow{row1(kindEventFence, one), row1(kindUpdated, two)}, kindUpdated},
		"the marker has run out": {gocql.UUID{}, []*eventRow{row1(kindUpdated, one), row1(kindExpired, two)}, kindExpired},
	} {
		if got := writeOf(row{rev: tt.now}, tt.rows); got.kind != tt.want {
			t.Errorf("%s: kind %d, want %d", name, got.kind, tt.want)
		}
	}
}

// TestEventAfterTheMarker: a removal that is told late has a revision, too, which is later
// than those before it.
func TestEventAfterTheMarker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEventRig(t, func(r *eventRig) { r.refuse = func([]state.Event) error { return errors.New("not now") } })
		r.write(kindAccepted, "a")
		gone := r.write(kindExpired, "a")
		r.feedRig.mu.Lock()
		delete(r.pins, string(gone.cid))
		r.feedRig.mu.Unlock()
		r.mu.Lock()
		r.refuse = nil
		r.mu.Unlock()
		time.Sleep(lastRetry)
		events := r.of("a")
		if len(events) == 0 || events[0].Kind != state.EventExpired || events[0].Rev != state.Revision(gone.rev) || events[0].Pin != nil {
			t.Errorf("%+v is told", events)
		}
		// That there was a write before it cannot be told from one that may yet be made.
		time.Sleep(2 * r.store.lim.window())
		r.want("a", state.EventExpired, state.EventUnpinned)
	})
}

func mustIntent(t *testing.T, label string, kind state.EventKind) intent {
	t.Helper()
	e := state.StatusEvent{Kind: kind, Cid: statetest.Cid(label), Peer: statetest.Peer("p"), Rev: state.Revision(newUUID(time.Now()))}
	if kind == state.EventFailed {
		e.Status = state.PlacementPinError
	}
	i, err := statusIntent(e)
	must(t, err)
	return i
}

// TestEventsThatHaveRunOut: when nobody has taken events for longer than they are kept,
// the reader ends and says so, and has not told that it has passed them.
func TestEventsThatHaveRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &eventRig{feedRig: newTablesRig(t)}
		r.pins = make(map[string]row)
		var away atomic.Int64 // as if so much time had passed
		now := func() time.Time { return time.Now().Add(time.Duration(away.Load())) }
		r.store.now, r.store.eventsSince = now, time.Now()
		r.feed = &eventFeed{feed: &Feed{store: r.store, name: eventsName, consumer: eventConsumer, now: now, position: time.Now()}}
		ended := make(chan error, 1)
		go func() { ended <- r.feed.Consume(t.Context(), r.handle) }()
		time.Sleep(time.Hour)
		away.Store(int64(feedTTL - time.Minute))
		time.Sleep(time.Hour)
		if behind := now().Sub(r.passed()); behind > time.Minute {
			t.Fatalf("it is %s behind when all is still kept", behind)
		}
		passed := r.passed()
		away.Store(int64(2 * feedTTL))
		time.Sleep(time.Minute)
		select {
		case err := <-ended:
			if !errors.Is(err, state.ErrEventsGone) {
				t.Errorf("it ends with %v", err)
			}
		default:
			t.Fatal("it goes on")
		}
		if r.passed().After(passed.Add(time.Minute)) {
			t.Errorf("it has told that it passed %s", r.passed().Sub(passed))
		}
	})
}
