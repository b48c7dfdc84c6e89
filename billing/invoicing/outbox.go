package invoicing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// slotTime is how long a slot of the outbox is. Rows that are stored depend on it.
const slotTime = time.Hour

// announceMost is how long it may take to write a row of the outbox. A slot is looked at for longer
// than that after it is over.
const announceMost = slotTime / 2

// announced is a row of the outbox: what is to be told when it is seen to be so.
type announced struct {
	notice notice.Notice
	place  place
	turn   int64
	// from is when it may be told at the earliest. The zero time is now.
	from time.Time
}

func slotOf(t time.Time) int64 { return t.UnixMilli() / slotTime.Milliseconds() }

// announce writes what is to be told of something, before that is done. If it took so long that
// nobody may look at the slot any more, it is written again.
func (o *Office) announce(ctx context.Context, all ...announced) error {
	for begun := o.now(); ; begun = o.now() {
		for _, a := range all {
			body, err := a.notice.Encode()
			if err != nil {
				return err
			}
			from := begun
			if a.from.After(from) {
				from = a.from
			}
			shard, slot := shardOf(a.place.owner), slotOf(from)
			err = o.write(ctx, scylla.Bind(insertSlot, shard, slot))
			if err == nil {
				err = o.write(ctx, scylla.Bind(insertEvent, shard, slot, a.notice.ID(), a.place.owner, a.place.period, a.place.rev, string(a.notice.Type), a.turn, string(body)))
			}
			if err != nil {
				return fmt.Errorf("noting that %s is to be told: %w", a.notice.ID(), err)
			}
		}
		if o.now().Sub(begun) < announceMost {
			return nil
		}
	}
}

// noticeOf returns the data of a notice on a document that has its number.
func noticeOf(d invoice.Document, digest string, turn int64) *notice.Invoice {
	out := &notice.Invoice{
		Owner: d.Owner, Number: d.Number, Kind: string(d.Kind), Period: plan.MonthOf(plan.Day(d.Period.From)).String(), Total: d.Totals.Gross.Text(),
		Currency: d.Currency.Code(), Issued: d.Issued.String(), Digest: digest, Turn: turn,
	}
	if d.Due != 0 {
		out.Due = d.Due.String()
	}
	if d.Credits != nil {
		out.Credits = d.Credits.Number
	}
	return out
}

// issuedEvents are those of a document that is issued. Its times are those of the document, so that
// it is the same whoever writes it. That an invoice is overdue is written now, and told when
// it is due and was not paid.
func (o *Office) issuedEvents(r *row, d invoice.Document, digest string) []announced {
	at := plan.Day(d.Issued).Time()
	out := []announced{{
		notice: notice.Notice{Source: o.opts.Source, Type: notice.InvoiceIssued, Time: at, Invoice: noticeOf(d, digest, 1)}, place: r.place, turn: 1,
	}}
	if d.Due != 0 {
		over := plan.Day(d.Due + 1).Time()
		out = append(out, announced{
			notice: notice.Notice{Source: o.opts.Source, Type: notice.InvoiceOverdue, Time: over, Invoice: noticeOf(d, digest, 1)}, place: r.place, turn: 1, from: over,
		})
	}
	return out
}

// paidEvent is that of an invoice which becomes paid at a turn.
func (o *Office) paidEvent(r *row, turn int64) (announced, error) {
	d, err := r.public()
	if err != nil {
		return announced{}, err
	}
	n := notice.Notice{Source: o.opts.Source, Type: notice.InvoicePaid, Time: o.now(), Invoice: noticeOf(d.Document, d.Digest, turn)}
	return announced{notice: n, place: r.place, turn: turn}, nil
}

// Watch tells which parts of a limit a month has reached for an owner: each once, however often it is
// asked. What is reached at 100 percent is the limit.
func (o *Office) Watch(ctx context.Context, owner string, month plan.Month, total money.Amount, limit plan.Limit) error {
	reached, err := limit.Crossed(money.Zero(total.Currency()), total)
	if err != nil {
		return fmt.Errorf("the limit of %q: %w", owner, err)
	}
	for _, percent := range reached {
		t := notice.ThresholdCrossed
		if percent == 100 {
			t = notice.LimitReached
		}
		n := notice.Notice{Source: o.opts.Source, Type: t, Time: o.now(), Limit: &notice.Limit{
			Owner: owner, Period: month.String(), Percent: percent, Limit: limit.Amount().Text(), Total: total.Text(), Currency: total.Currency().Code(),
		}}
		if told, err := o.wasTold(ctx, n.ID()); err != nil || told {
			if err != nil {
				return err
			}
			continue
		}
		if err := o.announce(ctx, announced{notice: n, place: place{owner: owner, period: periodOf(month)}}); err != nil {
			return err
		}
	}
	return nil
}

func (o *Office) wasTold(ctx context.Context, id string) (bool, error) {
	var same string
	told, err := o.db.Read(ctx, gocql.Quorum, scylla.Bind(selectTold, id), &same)
	return told, wrap(err, "looking whether %s was told", id)
}

// fate is what is done with a row of the outbox.
type fate int

const (
	// wait: what it tells of has not been done yet, and may be.
	wait fate = iota
	tell
	// drop: it was not done, or is not so any more.
	drop
)

// look says what is to be done with a row, by what it tells of.
func (o *Office) look(ctx context.Context, n notice.Notice, at place, turn int64) (fate, error) {
	if n.Limit != nil {
		return tell, nil
	}
	r, err := o.row(ctx, at)
	switch {
	case errors.Is(err, ErrUnknown): // nobody begins to issue what is not there
		return drop, nil
	case err != nil:
		return wait, err
	case r.draft():
		return wait, nil
	case n.Invoice.Number != r.number:
		return drop, nil
	}
	switch n.Type {
	case notice.InvoiceOverdue:
		if r.state != invoice.Open {
			return drop, nil
		}
	case notice.InvoicePaid:
		switch {
		case r.paidTurn == turn:
		case r.turn < turn:
			return wait, nil
		default:
			return drop, nil
		}
	}
	return tell, nil
}
