package consume

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// ErrNoDeadLetter says that there is no dead letter with an ID: it was retried or dropped, or
// is older than what is kept.
var ErrNoDeadLetter = errors.New("there is no such dead letter")

// DeadLetter is a message that a consumer has put aside.
type DeadLetter struct {
	// ID is unique, and grows.
	ID       uint64
	Consumer string
	// At is when it was put aside, Reason and Error why.
	At     time.Time
	Reason Reason
	Error  string
	// Subject is what it was published to, Kind, Epoch and N what its headers say.
	Subject, Kind, Epoch, N string
	// Data is what it has, an encoded event if it is one. Size is how many bytes it had,
	// more than Data where it was cut.
	Data []byte
	Size int
}

// DeadLetters calls f with what consumers have put aside, in the order of the IDs, from an ID
// on: what the named consumer has, or all with an empty name. It ends when f returns false.
func DeadLetters(ctx context.Context, b *bus.Bus, consumer string, from uint64, f func(DeadLetter) bool) error {
	stream, err := deadStream(ctx, b)
	if err != nil {
		return err
	}
	if consumer == "" {
		consumer = "*"
	}
	for seq := max(from, 1); ; {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(b.DeadSubject(consumer)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		if !f(deadLetter(b, m)) {
			return nil
		}
		seq = m.Sequence + 1
	}
}

// GetDeadLetter returns one. The error matches ErrNoDeadLetter if it is not there.
func GetDeadLetter(ctx context.Context, b *bus.Bus, id uint64) (DeadLetter, error) {
	stream, err := deadStream(ctx, b)
	if err != nil {
		return DeadLetter{}, err
	}
	m, err := stream.GetMsg(ctx, id)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("dead letter %d: %w", id, ErrNoDeadLetter)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("reading dead letter %d: %w", id, err)
	}
	return deadLetter(b, m), nil
}

// RetryDeadLetter hands a dead letter to its consumer once more, which drops it then. If that
// is in vain there is another one in its place. It stays as long as no process consumes
// under that name.
func RetryDeadLetter(ctx context.Context, b *bus.Bus, id uint64) error {
	letter, err := GetDeadLetter(ctx, b, id)
	if err != nil {
		return err
	}
	if letter.Size > len(letter.Data) {
		return fmt.Errorf("dead letter %d cannot be retried: only a part of it was kept", id)
	}
	if err := b.Retry(ctx, letter.Subject, letter.Consumer, letter.name(), letter.Data); err != nil {
		return fmt.Errorf("retrying dead letter %d: %w", id, err)
	}
	return nil
}

// name is unique also when the stream of the dead letters is made anew.
func (l DeadLetter) name() string { return fmt.Sprintf("%d.%d", l.ID, l.At.UnixNano()) }

// handleRetry handles a dead letter again, and drops it. An error means that ctx has ended.
func (r *run) handleRetry(ctx context.Context, it item) error {
	if err := r.handle(ctx, it.msg, false); err != nil {
		return err
	}
	if err := r.dropRetried(ctx, it.header.Letter); err != nil && !errors.Is(err, ErrNoDeadLetter) {
		logger.Warnf("consumer %s has retried dead letter %s, which stays: %s", r.opts.Name, it.header.Letter, err)
	}
	return nil
}

// dropRetried drops the dead letter with a name.
func (c *Consumer) dropRetried(ctx context.Context, name string) error {
	text, _, _ := strings.Cut(name, ".")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("the name %.200q is not that of a dead letter", name)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	letter, err := GetDeadLetter(ctx, c.opts.Bus, id)
	if err != nil {
		return err
	}
	if letter.name() != name || letter.Consumer != c.opts.Name {
		return ErrNoDeadLetter
	}
	return DropDeadLetter(ctx, c.opts.Bus, id)
}

// DropDeadLetter removes a dead letter. The error matches ErrNoDeadLetter if it is not
// there.
func DropDeadLetter(ctx context.Context, b *bus.Bus, id uint64) error {
	stream, err := deadStream(ctx, b)
	if err != nil {
		return err
	}
	if _, err := GetDeadLetter(ctx, b, id); err != nil {
		return err
	}
	if err := stream.DeleteMsg(ctx, id); err != nil {
		return fmt.Errorf("dropping dead letter %d: %w", id, err)
	}
	return nil
}

func deadStream(ctx context.Context, b *bus.Bus) (jetstream.Stream, error) {
	stream, err := b.JetStream().Stream(ctx, b.DeadStream())
	if err != nil {
		return nil, fmt.Errorf("looking for the stream of dead letters, %s: %w", b.DeadStream(), err)
	}
	return stream, b.CheckMark("the stream "+b.DeadStream(), stream.CachedInfo().Config.Metadata)
}

func deadLetter(b *bus.Bus, m *jetstream.RawStreamMsg) DeadLetter {
	letter := DeadLetter{
		ID: m.Sequence, Consumer: strings.TrimPrefix(m.Subject, b.DeadSubject("")), At: m.Time,
		Reason: Reason(m.Header.Get(reasonHeader)), Error: m.Header.Get(errorHeader), Subject: m.Header.Get(subjectHeader),
		Kind: m.Header.Get(bus.KindHeader), Epoch: m.Header.Get(bus.EpochHeader), N: m.Header.Get(bus.NumberHeader),
		Data: m.Data, Size: len(m.Data),
	}
	if size, err := strconv.Atoi(m.Header.Get(sizeHeader)); err == nil {
		letter.Size = size
	}
	return letter
}
