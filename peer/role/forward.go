package role

import (
	"context"
	"errors"
	"fmt"

	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/multierr"
)

// maxTries is how many peers are asked for one request.
const maxTries = 3

// ErrNoDaemon says that none of the peers with an IPFS daemon could be reached,
// or that there is none.
var ErrNoDaemon = errors.New("no peer with an IPFS daemon answers")

// forward calls f with one peer after another until it succeeds. A call of f may
// go on in the background when its context has ended: calls share nothing.
func forward[T any](ctx context.Context, c *Connector, what string, f func(context.Context, *rpc.Client, peer.ID) (T, error)) (T, error) {
	var none T
	if err := c.fromHere(ctx); err != nil {
		return none, fmt.Errorf("%s: %w", what, err)
	}
	client := c.client.Load()
	if client == nil {
		return none, fmt.Errorf("%s: the peer is still starting", what)
	}
	var failed error
	answered := false
	for _, p := range c.candidates() {
		try, cancel := c.limit(ctx)
		result, err := f(try, client, p)
		cancel()
		if err == nil {
			return result, nil
		}
		if ctx.Err() != nil {
			return none, fmt.Errorf("%s: asking peer %s: %w", what, p, context.Cause(ctx))
		}
		logger.Debugf("%s: peer %s: %s", what, p, err)
		answered = answered || !unanswered(err)
		failed = multierr.Append(failed, fmt.Errorf("peer %s: %w", p, err))
	}
	switch {
	case failed == nil:
		return none, fmt.Errorf("%s: %w", what, ErrNoDaemon)
	case answered:
		return none, fmt.Errorf("%s: %w", what, failed)
	default:
		return none, fmt.Errorf("%s: %w: %w", what, ErrNoDaemon, failed)
	}
}

// fromHere refuses what another peer asks for: two peers that each believe that
// the other one has a daemon would ask each other without end.
func (c *Connector) fromHere(ctx context.Context) error {
	if sender, err := rpc.GetRequestSender(ctx); err == nil && sender != c.opts.ID {
		return refusal(c.opts.ID, "ask another peer")
	}
	return nil
}

// candidates are the peers to try. A call to this peer itself would come back
// here.
func (c *Connector) candidates() []peer.ID {
	var peers []peer.ID
	for _, p := range c.opts.Daemons() {
		if len(peers) == maxTries {
			break
		}
		if p != "" && p != c.opts.ID {
			peers = append(peers, p)
		}
	}
	return peers
}

// limit gives one peer its time.
func (c *Connector) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.opts.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.opts.Timeout)
}

// unanswered tells errors of the way to a peer from those that its daemon gave.
func unanswered(err error) bool {
	return rpc.IsRPCError(err) || errors.Is(err, context.DeadlineExceeded)
}
