package bus

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// Kind is what a message of the stream is.
type Kind string

// The kinds, see the package's comment.
const (
	KindEvent    Kind = "event"
	KindManifest Kind = "manifest"
	KindResume   Kind = "resume"
	KindReplay   Kind = "replay"
	KindReplayed Kind = "replayed"
	KindRetry    Kind = "retry"
	KindAgain    Kind = "again"
)

// The names of headers, see the package's comment.
const (
	KindHeader     = "Ics-Kind"
	EpochHeader    = "Ics-Epoch"
	NumberHeader   = "Ics-N"
	replayHeader   = "Ics-Replay"
	consumerHeader = "Ics-Consumer"
	letterHeader   = "Ics-Letter"
)

// Headers are the names of the headers that a message of the stream may have from us.
func Headers() []string {
	return []string{KindHeader, EpochHeader, NumberHeader, replayHeader, consumerHeader, letterHeader}
}

// maxReplay bounds the name of a replay, in bytes.
const maxReplay = 64

// Message is an event to publish.
type Message struct {
	// ID is that of the event.
	ID string
	// At is the time of the row of the feed that it was made from.
	At time.Time
	// Data is the encoded event.
	Data []byte
}

// Header is what a message of the stream says of itself beside its data.
type Header struct {
	Kind  Kind
	Shard int
	// Epoch and N number a KindEvent, and a KindReplay within Replay. Both are more
	// than 0.
	Epoch  int64
	N      uint64
	Replay string
	// Consumer is whom a KindRetry is for, and Letter which of its dead letters it is.
	Consumer, Letter string
}

// Header reads that of a message. An error matches events.ErrUnknown for a kind that this
// build does not know, and else events.ErrMalformed.
func (b *Bus) Header(subject string, headers nats.Header) (Header, error) {
	shard, ok := b.shardOf(subject)
	if !ok {
		return Header{}, fmt.Errorf("%w: %.200q is not the subject of a shard", events.ErrMalformed, subject)
	}
	h := Header{Kind: Kind(headers.Get(KindHeader)), Shard: shard}
	switch h.Kind {
	case KindManifest, KindResume, KindReplayed, KindAgain:
		return h, nil
	case KindRetry:
		h.Consumer, h.Letter = headers.Get(consumerHeader), headers.Get(letterHeader)
		if h.Consumer == "" {
			return Header{}, fmt.Errorf("%w: a retry without %s", events.ErrMalformed, consumerHeader)
		}
		return h, nil
	case KindReplay:
		h.Replay = headers.Get(replayHeader)
		if h.Replay == "" || len(h.Replay) > maxReplay {
			return Header{}, fmt.Errorf("%w: %s is %.200q", events.ErrMalformed, replayHeader, h.Replay)
		}
	case KindEvent:
	case "":
		return Header{}, fmt.Errorf("%w: a message without %s", events.ErrMalformed, KindHeader)
	default:
		return Header{}, fmt.Errorf("%w: a message of kind %.200q", events.ErrUnknown, h.Kind)
	}
	var err error
	h.Epoch, err = strconv.ParseInt(headers.Get(EpochHeader), 10, 64)
	if err != nil || h.Epoch <= 0 {
		return Header{}, fmt.Errorf("%w: %s is %.200q", events.ErrMalformed, EpochHeader, headers.Get(EpochHeader))
	}
	h.N, err = strconv.ParseUint(headers.Get(NumberHeader), 10, 64)
	if err != nil || h.N == 0 {
		return Header{}, fmt.Errorf("%w: %s is %.200q", events.ErrMalformed, NumberHeader, headers.Get(NumberHeader))
	}
	return h, nil
}

// message returns what is published for a header.
func (b *Bus) message(h Header, data []byte) *nats.Msg {
	m := &nats.Msg{Subject: b.Subject(h.Shard), Data: data, Header: nats.Header{KindHeader: {string(h.Kind)}}}
	if h.N != 0 {
		m.Header[EpochHeader] = []string{strconv.FormatInt(h.Epoch, 10)}
		m.Header[NumberHeader] = []string{strconv.FormatUint(h.N, 10)}
	}
	if h.Replay != "" {
		m.Header[replayHeader] = []string{h.Replay}
	}
	if h.Consumer != "" {
		m.Header[consumerHeader], m.Header[letterHeader] = []string{h.Consumer}, []string{h.Letter}
	}
	return m
}
