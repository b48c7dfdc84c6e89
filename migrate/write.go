package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// writers is how many conditional writes are under way at once.
	writers = 64
	// attempts is how often a conditional write with an unknown outcome is made.
	attempts = 3
)

// errKept and errSame end an update that is not wanted, or not needed.
var (
	errKept = errors.New("the pin stays as it is")
	errSame = fmt.Errorf("%w: it is the same", errKept)
)

// written is what became of the pins of a window.
type written struct {
	copied, replaced, kept int64
	same                   bool // kept because there is no difference
}

// conditional writes pins as a peer does.
type conditional struct {
	dst      Target
	existing Existing
	// index is called with the pins that are there already as they should be. It
	// is nil where nothing can be missing beside them.
	index func(ctx context.Context, pins []state.BulkPin) error
}

// write writes the pins of a window. After an error some of them may be written.
func (c conditional) write(ctx context.Context, pins []state.BulkPin) (written, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	var mu sync.Mutex
	var sum written
	var same []state.BulkPin
	begun := 0
	for ; begun < len(pins) && groupCtx.Err() == nil; begun++ {
		pin := pins[begun]
		group.Go(func() error {
			one, err := c.put(groupCtx, pin.Pin)
			mu.Lock()
			defer mu.Unlock()
			sum.copied += one.copied
			sum.replaced += one.replaced
			sum.kept += one.kept
			if one.same {
				same = append(same, pin)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return sum, err
	}
	if begun < len(pins) {
		return sum, ctx.Err()
	}
	if c.index != nil && len(same) > 0 {
		return sum, c.index(ctx, same)
	}
	return sum, nil
}

// put writes one pin unless the one that is there stays. A write whose outcome
// nobody knows is made again: if it was made, the second one finds that.
func (c conditional) put(ctx context.Context, pin api.Pin) (written, error) {
	value, err := pin.ProtoMarshal()
	if err != nil {
		return written{}, fmt.Errorf("encoding the pin of %s: %w", pin.Cid, err)
	}
	// A look first: a refusal to update costs another read, and most pins of a
	// run that is made again are there. One that is not costs no more than
	// without it, as the store remembers that.
	if current, err := c.dst.Get(ctx, pin.Cid); err == nil {
		if have, err := current.ProtoMarshal(); err == nil && bytes.Equal(have, value) {
			return written{kept: 1, same: true}, nil
		}
	}
	for attempt := 1; ; attempt++ {
		var there bool // as the last call of the function saw it
		err := c.dst.Update(ctx, pin.Cid, func(current *api.Pin) (*api.Pin, error) {
			there = current != nil
			if there {
				if err := c.decide(current, &pin, value); err != nil {
					return nil, err
				}
			}
			next := pin
			return &next, nil
		})
		switch {
		case err == nil && there:
			return written{copied: 1, replaced: 1}, nil
		case err == nil:
			return written{copied: 1}, nil
		case errors.Is(err, errKept) && attempt == 1:
			return written{kept: 1, same: errors.Is(err, errSame)}, nil
		case errors.Is(err, errKept):
			return written{copied: 1}, nil // by the attempt before
		case errors.Is(err, state.ErrOutcomeUnknown) && attempt < attempts && ctx.Err() == nil:
		default:
			return written{}, fmt.Errorf("writing the pin of %s: %w", pin.Cid, err)
		}
	}
}

// decide returns nil if next is to take the place of current, errKept if current
// stays, and another error if nobody has said which. Value is the encoding of next.
func (c conditional) decide(current, next *api.Pin, value []byte) error {
	have, err := current.ProtoMarshal()
	if err != nil {
		return fmt.Errorf("encoding the pin that is there: %w", err)
	}
	if bytes.Equal(have, value) {
		return errSame
	}
	switch c.existing {
	case ExistingKeep:
		return errKept
	case ExistingNewer:
		if next.Timestamp.After(current.Timestamp) {
			return nil
		}
		return errKept
	default:
		return &conflictError{there: current.Timestamp, source: next.Timestamp}
	}
}

// conflictError says that a pin is there already and differs.
type conflictError struct{ there, source time.Time }

func (e *conflictError) Error() string {
	return fmt.Sprintf("the pinset has another pin of it (of %s, that of the source is of %s): use --existing %s or --existing %s",
		stamp(e.there), stamp(e.source), ExistingNewer, ExistingKeep)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "no time"
	}
	return t.UTC().Format(time.RFC3339)
}
