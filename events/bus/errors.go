package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What is wrong with a NATS that answers. Errors that match them say what to do.
var (
	// ErrNoJetStream says that no server has JetStream enabled, or not for the account.
	ErrNoJetStream = errors.New("NATS has no JetStream here")
	// ErrNoStorage says that JetStream has no room for a stream or a message.
	ErrNoStorage = errors.New("JetStream has no room")
	// ErrNoRights says that the user may not do what was asked.
	ErrNoRights = errors.New("NATS refuses")
	// ErrNotOurs says that there is a stream or a consumer of our name that is not
	// this cluster's.
	ErrNotOurs = errors.New("not ours")
	// ErrTooOld says that a server lacks what consumers need of it.
	ErrTooOld = errors.New("NATS is too old")
)

// Codes of JetStream's errors that its client has no names for.
const (
	codeAccountResources    jetstream.ErrorCode = 10002
	codeNoPeers             jetstream.ErrorCode = 10005
	codeInsufficient        jetstream.ErrorCode = 10023
	codeNoStorage           jetstream.ErrorCode = 10047
	codeReplicasUnsupported jetstream.ErrorCode = 10074
	codeMaxBytesRequired    jetstream.ErrorCode = 10113
)

// Explain says what was done when err happened, and what kind of error it is: one that matches
// ErrNoJetStream, ErrNoStorage or ErrNoRights where that is the reason. start is when it began.
func (b *Bus) Explain(err error, start time.Time, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders): // nobody listens for requests to JetStream
		return fmt.Errorf("%s: %w (%w): enable it on the servers, and for the account", what, ErrNoJetStream, err)
	case hasCode(err, codeAccountResources, codeInsufficient, codeNoStorage, codeMaxBytesRequired):
		return fmt.Errorf("%s: %w (%w): give it more, or lower the stream's limit of bytes", what, ErrNoStorage, err)
	case isTimeout(err):
		if refusal := b.refusedSince(start); refusal != nil {
			return fmt.Errorf("%s: %w: %w", what, ErrNoRights, refusal)
		}
		if down := b.Err(); down != nil {
			return fmt.Errorf("%s: %w", what, down)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, jetstream.ErrAsyncPublishTimeout)
}

func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var apiError *jetstream.APIError
	if !errors.As(err, &apiError) {
		return false
	}
	for _, code := range codes {
		if apiError.ErrorCode == code {
			return true
		}
	}
	return false
}

// refusedSince returns the last refusal of a right after a time, nil if there was none.
func (b *Bus) refusedSince(start time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusedT.Before(start) {
		return nil
	}
	return b.refusal
}
