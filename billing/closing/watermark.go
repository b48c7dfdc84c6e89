package closing

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
)

// OfClaims returns the watermark of a consumer of claims, see claims.Consumer.Lag. now is the
// clock, time.Now if it is nil.
func OfClaims(lag func(context.Context) (claims.Lag, error), now func() time.Time) Watermark {
	if now == nil {
		now = time.Now
	}
	return func(ctx context.Context) (time.Time, error) {
		asked := now()
		l, err := lag(ctx)
		switch {
		case err != nil:
			return time.Time{}, err
		case l.Waiting > 0:
			return l.Oldest, nil
		}
		return asked, nil
	}
}

// OfEvents returns the watermark of a consumer of the events of a cluster, by the state that it
// saves under a name: sizes that peers have told until then are counted.
func OfEvents(state consume.State, name string) Watermark {
	return func(ctx context.Context) (time.Time, error) {
		text, err := state.Load(ctx, name)
		if err != nil {
			return time.Time{}, err
		}
		if len(text) == 0 {
			return time.Time{}, errors.New("the consumer " + name + " of events has saved no state yet")
		}
		return consume.Through(text)
	}
}
