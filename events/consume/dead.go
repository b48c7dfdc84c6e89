package consume

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// Reason is why an event was put aside.
type Reason string

const (
	// Unknown events are of a type that the build did not know: a later one may.
	Unknown Reason = "unknown"
	// Malformed ones are none.
	Malformed Reason = "malformed"
	// Failed is what the handler could not handle, or has refused.
	Failed Reason = "failed"
)

const (
	reasonHeader  = "Ics-Reason"
	errorHeader   = "Ics-Error"
	subjectHeader = "Ics-Subject"
	sizeHeader    = "Ics-Size"
	// maxDeadError bounds the text of an error, in bytes.
	maxDeadError = 2 << 10
)

// bury puts a message aside: what is wrong with it is no reason to stop. It tries until
// that is acknowledged or ctx ends, which is an error.
func (c *Consumer) bury(ctx context.Context, msg jetstream.Msg, why error) error {
	reason, count := Failed, &c.stats.failed
	switch {
	case errors.Is(why, events.ErrUnknown):
		reason, count = Unknown, &c.stats.unknown
	case errors.Is(why, events.ErrMalformed):
		reason, count = Malformed, &c.stats.malformed
	}
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading where a message is from: %w", err)
	}
	dead := &nats.Msg{Subject: c.opts.Bus.DeadSubject(c.opts.Name), Data: msg.Data(), Header: make(nats.Header)}
	for _, name := range bus.Headers() {
		if value := headerText(msg.Headers().Get(name)); value != "" {
			dead.Header.Set(name, value)
		}
	}
	dead.Header.Set(reasonHeader, string(reason))
	dead.Header.Set(errorHeader, headerText(why.Error()))
	dead.Header.Set(subjectHeader, headerText(msg.Subject()))
	if len(dead.Data) > events.MaxBytes { // it is none, and a message with more headers has a limit
		dead.Header.Set(sizeHeader, strconv.Itoa(len(dead.Data)))
		dead.Data = dead.Data[:events.MaxBytes]
	}
	id := fmt.Sprintf("%s/%d.%d", c.opts.Name, meta.Sequence.Stream, meta.Timestamp.UnixNano())
	_, err = retry(ctx, "putting a message aside", c.opts.Name, func() (*jetstream.PubAck, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		ack, err := c.opts.Bus.JetStream().PublishMsg(ctx, dead, jetstream.WithMsgID(id), jetstream.WithExpectStream(c.opts.Bus.DeadStream()))
		if err != nil {
			_, why := c.opts.Bus.Find(ctx)
			err = errors.Join(err, why)
		}
		return ack, err
	})
	if err != nil {
		return err
	}
	count.Add(1)
	c.stats.dead.Add(1)
	logger.Warnf("consumer %s has put aside message %d of %s, which is %s: %s", c.opts.Name, meta.Sequence.Stream, msg.Subject(), reason, why)
	return nil
}

// headerText is a text as a header can have it.
func headerText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxDeadError {
		s = s[:maxDeadError]
	}
	return strings.ToValidUTF8(strings.TrimSpace(s), "")
}
