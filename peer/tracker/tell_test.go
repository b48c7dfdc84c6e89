package tracker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// eventLog notes what is told among what the store of a rig is told to write.
type eventLog struct {
	store *store
	mu    sync.Mutex
	told  []state.StatusEvent
	fails bool
}

// log is the change of options for a rig with that log.
func (l *eventLog) log(o *Options) {
	o.Log = func(_ context.Context, events ...state.StatusEvent) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.fails {
			return errors.New("the feed is gone")
		}
		names := map[state.EventKind]string{state.EventPinned: "pinned", state.EventFailed: "failed", state.EventSized: "sized", state.EventDropped: "dropped"}
		return l.store.try(func() {
			for _, e := range events {
				l.store.seen = append(l.store.seen, "told:"+names[e.Kind])
			}
			l.told = append(l.told, events...)
		})
	}
}

func (l *eventLog) fail(fails bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = fails
}

// last is what was told last.
func (l *eventLog) last() state.StatusEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[len(l.told)-1]
}

func newTellingRig(t *testing.T, change ...func(*Options)) (*rig, *eventLog) {
	t.Helper()
	s := newStore()
	l := &eventLog{store: s}
	return newRig(t, s, newIPFS(), append(change, l.log)...), l
}

// TestWhatCameOfAPinIsTold: it is told before the row says so, with what that says.
func TestWhatCameOfAPinIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := newTellingRig(t)
		pin := r.own("a")
		ch := r.store.set(pin.Cid, pin)
		ch.Traceparent = "a trace"
		r.act(ch)
		seconds(2)
		r.expect("pinned", "told:pinned 2", "pin")
		want := state.StatusEvent{Kind: state.EventPinned, Cid: pin.Cid, Peer: r.self, Rev: ch.Rev, Status: state.PlacementPinned, Size: 42, Traceparent: "a trace"}
		if got := l.last(); got != want {
			t.Errorf("told %+v, want %+v", got, want)
		}
		gone := r.store.set(pin.Cid, nil)
		gone.Traceparent = "another trace"
		r.act(gone)
		seconds(2)
		r.expect("unpinned", "4 told:dropped gone", "unpin")
		if got, want := l.last(), (state.StatusEvent{Kind: state.EventDropped, Cid: pin.Cid, Peer: r.self, Rev: gone.Rev, Traceparent: "another trace"}); got != want {
			t.Errorf("told %+v, want %+v", got, want)
		}
	})
}

// TestForgottenPinIsToldOf: of what the pinset has forgotten it is told in the revision
// that the row has.
func TestForgottenPinIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := newTellingRig(t)
		pin := r.own("a")
		ch := r.store.set(pin.Cid, pin)
		r.act(ch)
		seconds(2)
		r.ipfs.edit(func() { r.ipfs.fail = 2 })
		r.store.edit(func() {
			delete(r.store.pins, pin.Cid)
			delete(r.store.revs, pin.Cid)
		})
		r.act(state.Change{Cid: pin.Cid})
		seconds(20)
		r.expect("pinned and unpinned", "told:pinned 2 4 5 5 told:dropped gone", "pin unpin unpin unpin")
		if got := l.last().Rev; got != ch.Rev {
			t.Errorf("told of revision %x, want %x", got, ch.Rev)
		}
	})
}

// TestNothingIsNotedThatIsNotTold: while it cannot be told what came of a pin, no row says
// so, and it is told and noted later.
func TestNothingIsNotedThatIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := newTellingRig(t)
		l.fail(true)
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		seconds(60)
		r.expect("not told", "", "pin")
		if done() {
			t.Error("the change is done although nothing is noted")
		}
		l.fail(false)
		seconds(30)
		r.expect("told", "told:pinned 2", "")
		if !done() {
			t.Error("the change is not done")
		}
		l.fail(true)
		r.act(r.store.set(pin.Cid, nil))
		seconds(60)
		r.expect("not told", "4", "unpin")
		l.fail(false)
		seconds(30)
		r.expect("told", "told:dropped gone", "")
	})
}

// TestFailureIsToldOnce: a failure is told when it is noted first, and not with each try
// that has the same end. With a new revision of the pin it is told again.
func TestFailureIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := newTellingRig(t, func(o *Options) { o.Every = time.Minute })
		r.ipfs.edit(func() { r.ipfs.fail = 6 })
		pin := r.own("a")
		ch := r.store.set(pin.Cid, pin)
		r.act(ch)
		time.Sleep(3*time.Minute + 30*time.Second)
		r.expect("it fails", "told:failed 3 3 3 3", "pin pin pin pin")
		if e := l.last(); e.Status != state.PlacementPinError || e.Error != "the daemon is busy" || e.Rev != ch.Rev {
			t.Errorf("told %+v", e)
		}
		again := r.store.set(pin.Cid, pin)
		r.act(again)
		time.Sleep(90 * time.Second)
		r.expect("it fails in another revision", "told:failed 3 3", "pin pin")
		if e := l.last(); e.Rev != again.Rev {
			t.Errorf("told %+v", e)
		}
		time.Sleep(time.Minute)
		r.expect("it works", "told:pinned 2", "pin")

		r.ipfs.edit(func() { r.ipfs.fail = 3 })
		r.act(r.store.set(pin.Cid, nil))
		time.Sleep(time.Minute)
		r.expect("an unpin fails", "4 told:failed 5 5 5 told:dropped gone", "unpin unpin unpin unpin")
	})
}

// TestSizeIsTold: a size that is found later is told before it is noted, unless the pin is
// worked on again, or is another one.
func TestSizeIsTold(t *testing.T) {
	for name, then := range map[string]func(r *rig, pin *api.Pin){
		"":                   func(*rig, *api.Pin) {},
		"it is not pinned":   func(r *rig, pin *api.Pin) { r.act(r.store.set(pin.Cid, nil)) },
		"in a newer version": func(r *rig, pin *api.Pin) { r.act(r.store.set(pin.Cid, pin)) },
		"it is about to go": func(r *rig, pin *api.Pin) {
			r.store.edit(func() { r.store.slow = time.Minute })
			r.act(r.store.set(pin.Cid, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, l := newTellingRig(t, func(o *Options) {
					o.Size = func(ctx context.Context, _ api.Cid) (int64, error) {
						select {
						case <-time.After(10 * time.Second):
							return 42, nil
						case <-ctx.Done():
							return 0, ctx.Err()
						}
					}
				})
				pin := r.own("a")
				ch := r.store.set(pin.Cid, pin)
				r.act(ch)
				seconds(3)
				r.expect("pinned", "told:pinned 2", "pin")
				seconds(6)
				then(r, pin)
				seconds(4)
				if name != "" {
					if got := r.store.statuses(); strings.Contains(got, "size") {
						t.Errorf("%q was written", got)
					}
					return
				}
				r.expect("the size", "told:sized size", "")
				if e := l.last(); e.Size != 42 || e.Rev != ch.Rev || e.Status != state.PlacementPinned {
					t.Errorf("told %+v", e)
				}
			})
		})
	}
}
