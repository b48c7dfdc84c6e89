package scyllastate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestExpirySlot(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 30, 0, time.UTC)
	month := int(expiryKept / time.Second)
	for _, tt := range []struct {
		name string
		due  time.Time
		slot time.Time
		ttl  int
	}{
		{"later", now.Add(time.Hour), now.Add(time.Hour), month + 3600},
		{"now", now, now, month},
		{"long ago", now.AddDate(-3, 0, 0), now, month},
		{"the last one that can run out", time.Unix(lastTTLEnd, 0).Add(-expiryKept), time.Unix(lastTTLEnd, 0).Add(-expiryKept), int(time.Unix(lastTTLEnd, 0).Sub(now) / time.Second)},
		{"one second later", time.Unix(lastTTLEnd+1, 0).Add(-expiryKept), time.Unix(lastTTLEnd, 0).Add(-expiryKept), 0},
		{"in a hundred years", now.AddDate(100, 0, 0), now.AddDate(100, 0, 0), 0},
		{"in eight thousand years", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), 0},
	} {
		slot, ttl := expirySlot(tt.due, now)
		if slot != tt.slot.Unix()/60 || ttl != tt.ttl {
			t.Errorf("%s: slot %d for %d s, want %d for %d s", tt.name, slot, ttl, tt.slot.Unix()/60, tt.ttl)
		}
	}
	// The engines keep nothing for longer than 20 years.
	old := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, ttl := expirySlot(old.Add(maxTTL-expiryKept), old); ttl != int(maxTTL/time.Second) {
		t.Errorf("the longest time to live is %d s", ttl)
	}
	if _, ttl := expirySlot(old.Add(maxTTL-expiryKept+time.Second), old); ttl != 0 {
		t.Errorf("a time to live of %d s", ttl)
	}
}

// dueCids returns what Due names.
func dueCids(t *testing.T, s *Store, shard int, after, upTo time.Time) map[api.Cid]time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := make(map[api.Cid]time.Time)
	must(t, s.Due(ctx, shard, after, upTo, func(c api.Cid, due time.Time) error {
		out[c] = due
		return nil
	}))
	return out
}

// TestExpiries shows which pins are due at which time.
func TestExpiries(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	now := time.Now().Truncate(time.Second)
	c := statetest.Cid("x")
	shard := shardOf(c)
	minute := now.Add(time.Hour).Truncate(time.Minute)
	must(t, s.indexExpiry(ctx, c, minute.Add(30*time.Second)))
	for _, tt := range []struct {
		name        string
		after, upTo time.Time
		want        bool
	}{
		{"around it", minute.Add(-time.Minute), minute.Add(time.Minute), true},
		{"in its minute, before it", minute.Add(time.Second), minute.Add(2 * time.Second), true},
		{"in its minute, after it", minute.Add(40 * time.Second), minute.Add(50 * time.Second), true},
		{"before its minute", minute.Add(-10 * time.Minute), minute.Add(-time.Second), false},
		{"after its minute", minute.Add(time.Minute), minute.Add(10 * time.Minute), false},
		{"nothing", minute.Add(time.Minute), minute, false},
	} {
		due, ok := dueCids(t, s, shard, tt.after, tt.upTo)[c]
		if ok != tt.want || ok && !due.Equal(minute.Add(30*time.Second)) {
			t.Errorf("%s: due %t at %s", tt.name, ok, due)
		}
	}
	for other := range state.ExpiryShards {
		if got := dueCids(t, s, other, minute, minute); (len(got) == 1) != (other == shard) {
			t.Errorf("shard %d has %v", other, got)
		}
	}
	enough := errors.New("enough")
	if err := s.Due(ctx, shard, minute, minute, func(api.Cid, time.Time) error { return enough }); err != enough { //nolint:errorlint // it is to be that very error
		t.Errorf("the error of the callback comes back as %v", err)
	}

	// A pin that ran out long ago is due from now on: nobody looks at older
	// slots any more.
	past := statetest.Cid("past")
	must(t, s.indexExpiry(ctx, past, now.AddDate(-1, 0, 0)))
	if _, ok := dueCids(t, s, shardOf(past), now, time.Now())[past]; !ok {
		t.Error("a pin that ran out before it was written is not due")
	}
	// One that runs out in many years is noted without a time to live.
	for _, tt := range []struct {
		name string
		due  time.Time
		ttl  bool
	}{
		{"soon", now.Add(time.Hour), true},
		{"in 2040", time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"in a hundred years", now.AddDate(100, 0, 0), false},
		{"before the last day", time.Unix(lastTTLEnd, 0).Add(-expiryKept - time.Hour), true},
	} {
		c := statetest.Cid(tt.name)
		must(t, s.indexExpiry(ctx, c, tt.due))
		var left *int
		must(t, s.db.Session.Query("SELECT TTL(due) FROM expiries WHERE slot = ? AND shard = ? AND cid = ?", slotOf(tt.due), shardOf(c), c.Bytes()).Scan(&left))
		want := int(time.Until(tt.due.Add(expiryKept)) / time.Second)
		if (left != nil) != tt.ttl || left != nil && (*left < want-60 || *left > want+60) {
			t.Errorf("%s: stays for %v s", tt.name, left)
		}
	}
	must(t, s.db.Session.Query("INSERT INTO expiries (slot, shard, cid, due) VALUES (?, ?, ?, ?)", slotOf(minute), shard, []byte{0}, minute).Exec())
	if got := dueCids(t, s, shard, minute, minute); len(got) != 1 {
		t.Errorf("beside a row that is not a CID: %v", got)
	}
}

// TestExpiryTooLate stops a writer until the slot that it has chosen is passed:
// it chooses again.
func TestExpiryTooLate(t *testing.T) {
	s := newTestStore(t)
	start := time.Now()
	ticks := []time.Duration{0, 5 * time.Minute, 5 * time.Minute, 5 * time.Minute}
	s.now = func() time.Time {
		at := ticks[0]
		ticks = slices.Delete(ticks, 0, 1)
		return start.Add(at)
	}
	c := statetest.Cid("x")
	must(t, s.indexExpiry(t.Context(), c, start))
	s.now = time.Now
	if _, ok := dueCids(t, s, shardOf(c), start.Add(5*time.Minute), start.Add(5*time.Minute))[c]; !ok {
		t.Error("the row lies in a slot that was passed only")
	}
}

// TestExpiryWrongClock shows that no slot is chosen by a wrong clock.
func TestExpiryWrongClock(t *testing.T) {
	s := newTestStore(t)
	s.stop() // nobody measures from here on
	s.done.Wait()
	s.clock.mu.Lock()
	s.clock.skew = time.Hour
	s.clock.mu.Unlock()
	var wrong *ClockError
	if err := s.indexExpiry(t.Context(), statetest.Cid("x"), time.Now()); !errors.As(err, &wrong) {
		t.Errorf("indexExpiry: %v", err)
	}
	if _, err := s.DropStrays(t.Context(), 0); !errors.As(err, &wrong) {
		t.Errorf("DropStrays: %v", err)
	}
}

// TestDuePosition shows that the position is kept for each shard, and starts
// with none.
func TestDuePosition(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	at := time.Now().Add(-s.DueWindow())
	for _, upTo := range []time.Time{at, at.Add(time.Hour), at} { // a lower one counts as well
		must(t, s.SetDuePosition(ctx, 3, upTo))
		got, err := s.DuePosition(ctx, 3)
		if err != nil || got.UnixMilli() != upTo.UnixMilli() {
			t.Errorf("the position is %s, want %s: %v", got, upTo, err)
		}
	}
	if got, err := s.DuePosition(ctx, 4); err != nil || !got.IsZero() {
		t.Errorf("a shard that nobody has begun is at %s, %v", got, err)
	}
	if err := refuseBusy(ctx, s.db); err != nil {
		t.Errorf("the position was taken for that of a peer that runs: %v", err)
	}
	if w := s.DueWindow(); w != s.lim.window()+time.Minute {
		t.Errorf("the window is %s", w)
	}
	for _, shard := range []int{-1, state.ExpiryShards} {
		_, err := s.DuePosition(ctx, shard)
		for _, err := range []error{err, s.SetDuePosition(ctx, shard, at), s.Due(ctx, shard, at, at, nil)} {
			if err == nil {
				t.Errorf("there is a shard %d", shard)
			}
		}
	}
}

// TestDueFromTheBeginning begins where nobody has begun: it must not count the
// minutes since the year 1.
func TestDueFromTheBeginning(t *testing.T) {
	s := newTestStore(t)
	now := time.Now()
	c := statetest.Cid("x")
	must(t, s.indexExpiry(t.Context(), c, now.Add(-expiryKept)))
	s.now = func() time.Time { return now.Add(expiryKept + 10*time.Minute) } // the oldest rows are of now
	if _, ok := dueCids(t, s, shardOf(c), time.Time{}, now.Add(10*time.Minute))[c]; !ok {
		t.Error("the oldest row was not found")
	}
}
