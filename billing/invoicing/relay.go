package invoicing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Publisher tells notices, each at least once.
type Publisher interface {
	Publish(ctx context.Context, all []notice.Notice) error
}

const (
	// relayLease is for how long a shard is taken.
	relayLease = time.Minute
	// tellMost is how many notices are told at a time.
	tellMost = 64
)

// Relay tells what the outbox has.
type Relay struct {
	office    *Office
	publisher Publisher
	holder    string
}

// NewRelay returns a Relay, which works under a name that no other one has.
func NewRelay(o *Office, p Publisher, holder string) *Relay { return &Relay{o, p, holder} }

// Pass tells what may be told of the shards that nobody else works on, and returns how much that
// was. An event is told again only if this process stopped between telling it and noting that, and
// then has the same ID and the same bytes.
func (r *Relay) Pass(ctx context.Context) (told int, err error) {
	var problems []error
	for shard := range shards {
		n, err := r.shard(ctx, shard)
		told += n
		if err != nil {
			problems = append(problems, err)
		}
	}
	return told, errors.Join(problems...)
}

func (r *Relay) shard(ctx context.Context, shard int) (told int, err error) {
	name := fmt.Sprintf("billing/events/%d", shard)
	epoch, held, err := r.office.db.TryLease(ctx, name, r.holder, relayLease)
	if err != nil || !held {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, r.office.db.FreeLease(context.WithoutCancel(ctx), name, r.holder, epoch))
	}()
	slots, err := r.slots(ctx, shard)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		// What is told while another one has the lease is told twice, which is harmless. So it
		// is enough to look at each slot.
		_, held, err := r.office.db.TryLease(ctx, name, r.holder, relayLease)
		if err != nil || !held {
			return told, err
		}
		n, err := r.slot(ctx, shard, slot)
		told += n
		if err != nil {
			return told, err
		}
	}
	return told, nil
}

// slots returns the slots that have something and may be told.
func (r *Relay) slots(ctx context.Context, shard int) ([]int64, error) {
	rows := r.office.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectSlots, shard, slotOf(r.office.now())))
	defer rows.Close()
	var out []int64
	for slot := int64(0); rows.Next(&slot); {
		out = append(out, slot)
	}
	return out, wrap(rows.Close(), "reading what is to be told")
}

// slot tells what a slot has, and removes it if it is over and there is nothing left in it.
func (r *Relay) slot(ctx context.Context, shard int, slot int64) (told int, err error) {
	o := r.office
	over := slotOf(o.now().Add(-2*slotTime)) > slot // before its rows are read
	rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectEvents, shard, slot))
	defer rows.Close()
	var batch []notice.Notice
	var ids []string
	waiting := 0
	flush := func() error {
		if err := r.tell(ctx, shard, slot, batch, ids); err != nil {
			return err
		}
		told += len(batch)
		batch, ids = batch[:0], ids[:0]
		return nil
	}
	for {
		var id, kind, body string
		var at place
		var turn int64
		if !rows.Next(&id, &at.owner, &at.period, &at.rev, &kind, &turn, &body) {
			break
		}
		n, err := notice.Parse([]byte(body))
		if err != nil {
			return told, fmt.Errorf("what is to be told of %s, as it is stored: %w", id, err)
		}
		done, err := o.wasTold(ctx, id)
		if err != nil {
			return told, err
		}
		what := drop
		if !done {
			if what, err = o.look(ctx, n, at, turn); err != nil {
				return told, err
			}
		}
		switch what {
		case wait:
			waiting++
		case drop:
			if err := o.write(ctx, scylla.Bind(deleteEvent, shard, slot, id)); err != nil {
				return told, fmt.Errorf("removing %s from what is to be told: %w", id, err)
			}
		case tell:
			batch, ids = append(batch, n), append(ids, id)
			if len(batch) == tellMost {
				if err := flush(); err != nil {
					return told, err
				}
			}
		}
	}
	if err := rows.Close(); err != nil {
		return told, fmt.Errorf("reading what is to be told: %w", err)
	}
	if err := flush(); err != nil {
		return told, err
	}
	if over && waiting == 0 {
		return told, wrap(o.write(ctx, scylla.Bind(deleteSlot, shard, slot)), "removing an hour of what was told")
	}
	return told, nil
}

// tell tells notices, and then notes that they were told.
func (r *Relay) tell(ctx context.Context, shard int, slot int64, batch []notice.Notice, ids []string) error {
	if len(batch) == 0 {
		return nil
	}
	if err := r.publisher.Publish(ctx, batch); err != nil {
		return fmt.Errorf("telling %d notices: %w", len(batch), err)
	}
	for _, id := range ids {
		err := r.office.write(ctx, scylla.Bind(insertTold, id))
		if err == nil {
			err = r.office.write(ctx, scylla.Bind(deleteEvent, shard, slot, id))
		}
		if err != nil {
			return fmt.Errorf("noting that %s was told: %w", id, err)
		}
	}
	return nil
}
