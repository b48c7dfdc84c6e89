package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// askTimeout is how long a relay may take to say that it will replay.
const askTimeout = 5 * time.Second

var (
	// ErrNoRelay says that nobody answers for a shard now.
	ErrNoRelay = errors.New("no relay answers")
	// ErrRefused says that a relay cannot replay what was asked for, and why.
	ErrRefused = errors.New("the relay refuses")
	// ErrGone says that the database does not have all of that time any more, and that there
	// is no use in asking again.
	ErrGone = errors.New("events of that time are not kept any more")
)

// replayRequest asks for what a feed has after From and until To.
type replayRequest struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// replayAnswer is the name of the replay, or why there is none.
type replayAnswer struct {
	Replay string `json:"replay,omitempty"`
	Error  string `json:"error,omitempty"`
	Gone   bool   `json:"gone,omitzero"`
}

// AskReplay asks the relay of a shard to tell again what its feed has after from and until
// to, and returns the name that the messages will have. They come in the stream, to all
// consumers. An error matches ErrNoRelay, ErrRefused or ErrGone if one of these is the reason.
func (b *Bus) AskReplay(ctx context.Context, shard int, from, to time.Time) (string, error) {
	data, err := json.Marshal(replayRequest{From: from.UTC(), To: to.UTC()})
	if err != nil {
		return "", fmt.Errorf("encoding the request for a replay: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	start := time.Now()
	msg, err := b.conn.RequestWithContext(ctx, b.replaySubject(shard), data)
	if errors.Is(err, nats.ErrNoResponders) {
		return "", fmt.Errorf("asking for a replay of shard %d: %w", shard, ErrNoRelay)
	}
	if err != nil {
		return "", b.Explain(err, start, "asking for a replay of shard %d", shard)
	}
	var answer replayAnswer
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return "", fmt.Errorf("reading the answer for a replay of shard %d: %w", shard, err)
	}
	switch {
	case answer.Gone:
		return "", fmt.Errorf("asking for a replay of shard %d: %w: %.500s", shard, ErrGone, strings.TrimPrefix(answer.Error, ErrGone.Error()+": "))
	case answer.Error != "":
		return "", fmt.Errorf("asking for a replay of shard %d: %w: %.500s", shard, ErrRefused, answer.Error)
	case answer.Replay == "" || len(answer.Replay) > maxReplay:
		return "", fmt.Errorf("asking for a replay of shard %d: the relay names it %.200q", shard, answer.Replay)
	}
	return answer.Replay, nil
}

// AnswerReplays answers requests for replays of a shard until stop is called. answer is
// called by one goroutine, and returns the name of a replay, at most 64 bytes, or why
// there is none. The replay begins to read after the call: what is asked for may not have
// been there before.
func (b *Bus) AnswerReplays(shard int, answer func(from, to time.Time) (string, error)) (stop func() error, err error) {
	sub, err := b.conn.Subscribe(b.replaySubject(shard), func(m *nats.Msg) {
		var a replayAnswer
		var request replayRequest
		err := json.Unmarshal(m.Data, &request)
		if err == nil {
			a.Replay, err = answer(request.From, request.To)
		}
		if err != nil {
			a = replayAnswer{Error: err.Error(), Gone: errors.Is(err, ErrGone)}
		}
		data, err := json.Marshal(a)
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			logger.Warnf("a request for a replay of shard %d has got no answer: %s", shard, err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listening for requests for replays of shard %d: %w", shard, err)
	}
	return sub.Unsubscribe, nil
}

// Replay publishes what is told again. It is used by one goroutine at a time. After an
// error it is of no use: consumers ask for another one.
type Replay struct {
	bus    *Bus
	header Header
	end    events.Replayed
}

// NewReplay begins a replay, by the relay of a shard in an epoch, of what the feed has
// after from and until to. Names of replays are unique.
func (b *Bus) NewReplay(shard int, epoch int64, name string, from, to time.Time) *Replay {
	return &Replay{
		bus:    b,
		header: Header{Kind: KindReplay, Shard: shard, Epoch: epoch, Replay: name},
		end:    events.Replayed{Shard: shard, Epoch: epoch, Replay: name, From: from, Through: to},
	}
}

// Publish stores a batch in the stream, and returns when all of it is acknowledged.
func (r *Replay) Publish(ctx context.Context, batch []Message) error {
	start := time.Now()
	err := publishAll(ctx, batch, func(m Message) (jetstream.PubAckFuture, error) {
		r.header.N++
		return r.bus.publishAsync(r.header, m)
	})
	if err != nil {
		return r.bus.Explain(err, start, "replaying shard %d", r.header.Shard)
	}
	return nil
}

// End tells that all has been published.
func (r *Replay) End(ctx context.Context) error {
	r.end.N = r.header.N
	data, err := r.end.Encode()
	if err != nil {
		return fmt.Errorf("encoding the end of a replay of shard %d: %w", r.end.Shard, err)
	}
	return r.bus.publish(ctx, Header{Kind: KindReplayed, Shard: r.end.Shard}, data,
		fmt.Sprintf("replayed/%s", r.end.Replay))
}

// Again tells events of a shard once more, to all consumers, outside of any numbers: those
// that an operator wants told. It returns when all of it is acknowledged.
func (b *Bus) Again(ctx context.Context, shard int, batch []Message) error {
	start := time.Now()
	run, n := nats.NewInbox(), 0 // whatever was told before under the same ID
	err := publishAll(ctx, batch, func(m Message) (jetstream.PubAckFuture, error) {
		n++
		return b.js.PublishMsgAsync(b.message(Header{Kind: KindAgain, Shard: shard}, m.Data),
			jetstream.WithMsgID(fmt.Sprintf("%s@%s.%d", m.ID, run, n)), jetstream.WithExpectStream(b.Stream()))
	})
	if err != nil {
		return b.Explain(err, start, "telling events of shard %d again", shard)
	}
	return nil
}
