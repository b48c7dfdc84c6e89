package state

import "context"

// Cause is why a pin is written.
type Cause int8

const (
	// CauseUser is that somebody asked for it. It is the one of a write of which
	// nothing is said.
	CauseUser Cause = iota
	// CauseMove is that other peers are to hold the pin.
	CauseMove
	// CauseExpiry is that its time is over.
	CauseExpiry
)

type causeKey struct{}

// WithCause returns a context for writes with a cause. It decides nothing but what
// events say.
func WithCause(ctx context.Context, cause Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, cause)
}

// CauseOf is the cause of a write with that context.
func CauseOf(ctx context.Context) Cause {
	cause, _ := ctx.Value(causeKey{}).(Cause)
	return cause
}
