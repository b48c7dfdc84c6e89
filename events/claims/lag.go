package claims

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// Lag is how far a consumer is behind.
type Lag struct {
	// Waiting is how many messages are not acknowledged.
	Waiting uint64
	// Oldest is when the stream got the oldest of them, zero if there is none: what it got
	// before is handled. What it got in the last moments may not count yet.
	Oldest time.Time
}

// lagTries is how often a lag is read that changes while it is read.
const lagTries = 3

// Lag returns how far the processes that share the Consumer's name are behind. It is an error if
// that is not known, also if there is no stream, or no process has begun to consume.
func (c *Consumer) Lag(ctx context.Context) (Lag, error) { return LagOf(ctx, c.opts.Bus, c.opts.Name) }

// LagOf is Lag for who does not consume.
func LagOf(ctx context.Context, b *bus.Bus, name string) (Lag, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	stream, err := b.FindClaims(ctx)
	if err != nil {
		return Lag{}, err
	}
	start := time.Now()
	consumer, err := stream.Consumer(ctx, name)
	if err != nil {
		return Lag{}, b.Explain(err, start, "looking for the consumer %s of claims", name)
	}
	if err := b.CheckMark("the consumer "+name+" of claims", consumer.CachedInfo().Config.Metadata); err != nil {
		return Lag{}, err
	}
	for range lagTries {
		info, err := consumer.Info(ctx)
		if err != nil {
			return Lag{}, b.Explain(err, start, "looking at the consumer %s of claims", name)
		}
		lag := Lag{Waiting: info.NumPending + uint64(max(0, info.NumAckPending))}
		if lag.Waiting == 0 {
			return lag, nil
		}
		oldest, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(b.ClaimSubjects()))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // it was dropped by the limits of the stream since
		}
		if err != nil {
			return Lag{}, b.Explain(err, start, "reading the oldest claim that is not acknowledged")
		}
		lag.Oldest = oldest.Time
		return lag, nil
	}
	return Lag{}, fmt.Errorf("the oldest claim that consumer %s has not acknowledged was not found in %d looks", name, lagTries)
}
