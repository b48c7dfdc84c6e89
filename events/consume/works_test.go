package consume_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
)

// works are what users do with the rights that the table has, so that each is needed.
var works = map[string]func(context.Context, *user) error{
	"peers, `events replay`": workOfPeer,
	"a consumer":             workOfConsumer,
	"`events tail`":          workOfTail,
	"`events status`":        workOfStatus,
	"`events dead-letters`":  workOfDeadLetters,
}

func workOfPeer(ctx context.Context, u *user) error {
	b, other := u.bus(), u.connect("user", func(cfg *bus.Config) { cfg.MaxAge = time.Hour })
	if err := errors.Join(b.Ensure(ctx), other.Ensure(ctx)); err != nil {
		return err
	}
	stop, err := b.AnswerReplays(0, func(time.Time, time.Time) (string, error) { return "r", nil })
	if err != nil {
		return err
	}
	p, message := b.NewPublisher(0, 1, time.Now()), messageOf(u.t, "a")
	err = errors.Join(p.Publish(ctx, []bus.Message{message}, time.Now()), p.Manifest(ctx), b.Again(ctx, 0, []bus.Message{message}))
	if err != nil {
		return err
	}
	if _, err := u.root.AskReplay(ctx, 0, time.Now(), time.Now()); err != nil {
		return err
	}
	woken := make(chan struct{}, 1)
	sleep, err := b.OnWake([]string{"x"}, func(string) {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	u.until(func() string {
		if err := other.Wake("x"); err != nil {
			return err.Error()
		}
		select {
		case <-woken:
			return ""
		default:
			return "nobody was woken"
		}
	})
	return errors.Join(stop(), sleep())
}

func messageOf(t *testing.T, cid string) bus.Message {
	t.Helper()
	e := pinEvent(cid, false)
	data, err := e.Encode()
	must(t, err)
	return bus.Message{ID: e.ID(), At: e.Time(), Data: data}
}

// workOfConsumer receives events, misses one, puts one aside, tries that again, and leaves.
func workOfConsumer(ctx context.Context, u *user) error {
	must(u.t, u.root.Ensure(u.t.Context()))
	w := newWorld(u.t, u.root, 1)
	feed := w.feeds[0]
	write := func(cids ...string) {
		for _, cid := range cids {
			feed.write(cid, false)
			eventually(u.t, func() string { return published(u.t, u.root, w) })
		}
	}
	write("a", "lost", "b", "bad")
	stream, err := u.root.JetStream().Stream(u.t.Context(), u.root.Stream())
	must(u.t, err)
	must(u.t, stream.DeleteMsg(u.t.Context(), seqOf(u.t, u.root, "lost")))
	tb := table{refuse: refuseOnce("bad")}
	c := start(u.t, u.bus(), "c", &memory{}, &tb, nil)
	u.until(func() string {
		if s := c.Stats(); s.Dead == 0 {
			return fmt.Sprintf("nothing was put aside: %+v", s)
		}
		return ""
	})
	if u.isRefused() {
		return nil
	}
	var letter uint64
	must(u.t, consume.DeadLetters(u.t.Context(), u.root, "c", 0, func(l consume.DeadLetter) bool { letter = l.ID; return false }))
	must(u.t, consume.RetryDeadLetter(u.t.Context(), u.root, letter))
	u.until(func() string {
		if _, err := consume.GetDeadLetter(u.t.Context(), u.root, letter); !errors.Is(err, consume.ErrNoDeadLetter) {
			return fmt.Sprintf("the dead letter is there: %v", err)
		}
		return ""
	})
	u.until(func() string { return tb.differs(w.quiet()) })
	u.until(func() string { return acknowledged(u.t, u.root, "c") })
	c.stop()
	u.until(func() string { // a refusal comes after the request
		if ctx.Err() == nil && u.refused != "" {
			return "the consumer was not refused"
		}
		return ""
	})
	return nil
}

// refuseOnce refuses the first event of a CID.
func refuseOnce(cid string) func(events.Event) error {
	refused := false
	return func(e events.Event) error {
		if e.Subject() != cid || refused {
			return nil
		}
		refused = true
		return consume.ErrRefused
	}
}

// seqOf returns the place in the stream of the event of a CID.
func seqOf(t *testing.T, b *bus.Bus, cid string) uint64 {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	for seq := uint64(1); ; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		must(t, err)
		if e, err := events.Parse(m.Data); err == nil && e.Subject() == cid {
			return seq
		}
	}
}

func workOfTail(ctx context.Context, u *user) error {
	tell(u.t, u.root.NewPublisher(0, 1, time.Now()), "a")
	got := false
	err := consume.Tail(ctx, u.bus(), time.Unix(1, 0), func(events.Event, []byte, error) bool { got = true; return false })
	if err == nil && !got {
		return errors.New("there was no event")
	}
	return err
}

func workOfStatus(ctx context.Context, u *user) error {
	must(u.t, u.root.Ensure(u.t.Context()))
	_, err := u.bus().Report(ctx)
	return err
}

func workOfDeadLetters(ctx context.Context, u *user) error {
	must(u.t, u.root.Ensure(u.t.Context()))
	_, err := u.root.JetStream().PublishMsg(u.t.Context(), &nats.Msg{
		Subject: u.root.DeadSubject("c"), Data: messageOf(u.t, "a").Data, Header: nats.Header{"Ics-Subject": {u.root.Subject(0)}},
	})
	must(u.t, err)
	b := u.bus()
	listed := 0
	err = consume.DeadLetters(ctx, b, "", 0, func(consume.DeadLetter) bool { listed++; return true })
	if err != nil || listed != 1 {
		return fmt.Errorf("%d dead letters: %w", listed, err)
	}
	return errors.Join(consume.RetryDeadLetter(ctx, b, 1), consume.DropDeadLetter(ctx, b, 1))
}
