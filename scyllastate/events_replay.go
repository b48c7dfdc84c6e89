package scyllastate

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// ReadEvents implements state.Events. It remembers what it has told of some pins last: of
// several writes of a pin that are not far apart it tells one.
func (s *Store) ReadEvents(ctx context.Context, shard int, after, upTo time.Time, f func([]state.Event) error) error {
	if err := s.checkEvents(shard); err != nil {
		return err
	}
	now, all := s.now(), after.IsZero()
	if !all && s.runOut(after, now) {
		return fmt.Errorf("reading events of shard %d after %s: %w", shard, after.Format(time.RFC3339), state.ErrEventsGone)
	}
	if oldest := now.Add(-feedTTL); after.Before(oldest) {
		after = oldest
	}
	if latest := now.Add(s.lim.skew()); upTo.After(latest) {
		upTo = latest
	}
	told, err := newToldPins()
	if err != nil {
		return fmt.Errorf("reading events of shard %d: %w", shard, err)
	}
	r := &replay{store: s, told: told, f: f}
	feeds := []string{state.EventFeedName(shard)}
	for slot := slotOf(after); slot <= slotOf(upTo); slot++ {
		err := s.tables.readChanges(ctx, feeds, slot, after, upTo, func(row changeRow) error { return r.put(ctx, row) })
		if err != nil {
			return fmt.Errorf("reading events of shard %d: %w", shard, err)
		}
		// f may take its time, and rows of this slot may have run out before they were read.
		from := slotStart(slot)
		if from.Before(after) {
			from = after
		}
		if !all && s.runOut(from, s.now()) {
			return fmt.Errorf("reading events of shard %d after %s, which took too long: %w", shard, from.Format(time.RFC3339), state.ErrEventsGone)
		}
	}
	if err := r.flush(ctx); err != nil {
		return fmt.Errorf("reading events of shard %d: %w", shard, err)
	}
	return nil
}

// runOut reports whether the keyspace may have had events that are later than after and are
// not kept any more.
func (s *Store) runOut(after, now time.Time) bool {
	oldest := now.Add(-feedTTL)
	return after.Before(oldest) && s.eventsSince.Before(oldest)
}

// replay tells again what rows of a feed of events are about.
type replay struct {
	store *Store
	told  toldPins
	f     func([]state.Event) error
	// cids are those with rows, in their order.
	cids []string
	rows map[string][]*eventRow
	n    int
}

func (r *replay) put(ctx context.Context, row changeRow) error {
	if r.rows == nil {
		r.rows = make(map[string][]*eventRow)
	}
	key := string(row.cid)
	if r.rows[key] == nil {
		r.cids = append(r.cids, key)
	}
	r.rows[key] = append(r.rows[key], newEventRow(row))
	if r.n++; r.n < eventBatch {
		return nil
	}
	return r.flush(ctx)
}

// flush calls f for the rows that were put.
func (r *replay) flush(ctx context.Context) error {
	works := make([]*eventWork, len(r.cids))
	for i, cid := range r.cids {
		works[i] = newEventWork(nil, cid, r.rows[cid])
	}
	r.cids, r.rows, r.n = nil, nil, 0
	r.store.lookAt(ctx, works)
	var events []state.Event
	for _, w := range works {
		if w.unread != nil {
			return w.unread
		}
		events = append(events, w.tell(r.told)...)
	}
	if len(events) == 0 {
		return nil
	}
	if err := r.f(events); err != nil {
		return err
	}
	r.told.note(events)
	return nil
}
