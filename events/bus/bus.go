package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

var logger = logging.Logger("events")

const (
	// reconnectWait is how long the client waits between two attempts at a server.
	reconnectWait = time.Second
	// pingEvery and maxPings are how soon it notices that a server does not answer.
	pingEvery = 20 * time.Second
	maxPings  = 2
	// apiTimeout is how long requests to JetStream about one stream may take.
	apiTimeout = 10 * time.Second
)

// Bus is a connection to NATS. It is safe for concurrent use.
type Bus struct {
	cfg    Config
	id     string // what this Bus knows its own wake-ups by
	conn   *nats.Conn
	js     jetstream.JetStream
	closed chan struct{}

	mu       sync.Mutex
	refusal  error     // the last one of a right
	refusedT time.Time // when
	// said is when an error that came by itself was logged last, by its text.
	said map[string]time.Time
	// sleeps is set while wake-ups are refused on this connection; slept has a value then.
	sleeps atomic.Bool
	slept  chan struct{}
}

// Connect makes a Bus. It does not wait for a server: a Bus connects, and connects again,
// in the background until it is closed. An error is about the configuration.
func Connect(cfg Config) (*Bus, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	b := &Bus{cfg: cfg, id: nats.NewInbox(), said: make(map[string]time.Time), slept: make(chan struct{}, 1), closed: make(chan struct{})}
	options = append(options,
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(maxPings),
		// What is published without a connection fails at once, and does not arrive
		// later, behind what was published in its place.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(c *nats.Conn) { logger.Infof("connected to NATS at %s", shownURL(c.ConnectedUrl())) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			b.sleeps.Store(false)
			logger.Infof("connected to NATS again, at %s", shownURL(c.ConnectedUrl()))
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warnf("lost the connection to NATS: %s", err)
			}
		}),
		nats.ErrorHandler(b.asyncError),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	)
	b.conn, err = nats.Connect(strings.Join(cfg.URLs, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(apiTimeout), jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		b.conn.Close()
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	cfg.Metrics.watch(b)
	return b, nil
}

const (
	// sayEvery is how often one text of an error is logged that comes by itself: what is
	// refused is refused each time.
	sayEvery = time.Minute
	maxSaid  = 1000
)

// asyncError notes that a right is missing: the request that needed it times out.
func (b *Bus) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	now, text := time.Now(), err.Error()
	if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(text, b.cfg.Prefix+".wake.") && !b.sleeps.Swap(true) {
		select {
		case b.slept <- struct{}{}:
		default: // who watches has not seen the last one yet
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(err, nats.ErrPermissionViolation) {
		b.refusal, b.refusedT = err, now
	}
	if now.Sub(b.said[text]) < sayEvery {
		return
	}
	if len(b.said) >= maxSaid {
		clear(b.said)
	}
	b.said[text] = now
	logger.Warnf("NATS: %s", err)
}

// Close ends the connection when what was received is handled and what was
// published is sent, or when ctx ends. It is called once.
func (b *Bus) Close(ctx context.Context) error {
	b.js.CleanupPublisher()
	if err := b.conn.Drain(); err != nil {
		b.conn.Close() // there is no connection now
	}
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		b.conn.Close()
		return fmt.Errorf("waiting for the connection to NATS to end: %w", context.Cause(ctx))
	}
}

// Err returns why there is no connection now, and nil if there is one.
func (b *Bus) Err() error {
	if b.conn.IsConnected() {
		return nil
	}
	if err := b.conn.LastError(); err != nil {
		return fmt.Errorf("not connected to NATS: %w", err)
	}
	return errors.New("not connected to NATS yet")
}

// URLs returns those of the servers that are configured, without users and passwords.
func (b *Bus) URLs() []string {
	shown := make([]string, len(b.cfg.URLs))
	for i, text := range b.cfg.URLs {
		shown[i] = shownURL(text)
	}
	return shown
}

// shownURL is a URL that may be shown: a user, a password or a token is not in it.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "a server whose URL cannot be read"
	}
	u.User = nil
	return u.String()
}

// JetStream returns the client that the Bus uses.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Stream returns the name of the stream of events, DeadStream that of the dead letters.
func (b *Bus) Stream() string { return b.cfg.Prefix + "-events" }

// DeadStream returns the name of the stream of the dead letters.
func (b *Bus) DeadStream() string { return b.cfg.Prefix + "-dead" }

// Subject returns the subject of a shard in the stream of events.
func (b *Bus) Subject(shard int) string { return b.cfg.Prefix + ".events." + strconv.Itoa(shard) }

// Subjects returns the pattern of the subjects of all shards.
func (b *Bus) Subjects() string { return b.cfg.Prefix + ".events.*" }

// DeadSubject returns the subject of the dead letters of a consumer, or with "*" that of
// all.
func (b *Bus) DeadSubject(consumer string) string { return b.cfg.Prefix + ".dead." + consumer }

func (b *Bus) replaySubject(shard int) string { return b.cfg.Prefix + ".replay." + strconv.Itoa(shard) }

// shardOf returns the shard whose subject this is.
func (b *Bus) shardOf(subject string) (int, bool) {
	text, ok := strings.CutPrefix(subject, b.cfg.Prefix+".events.")
	shard, err := strconv.Atoi(text)
	return shard, ok && err == nil && shard >= 0 && shard < events.Shards && strconv.Itoa(shard) == text
}
