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

// written is what became of the pins of a window. Different ones are among the
// kept ones.
type written struct {
	copied, replaced, kept, different int64
}

func (w *written) add(other written) {
	w.copied += other.copied
	w.replaced += other.replaced
	w.kept += other.kept
	w.different += other.different
}

// same reports whether the one pin was kept because there is no difference.
func (w *written) same() bool { return w.kept > w.different }

// conditional writes pins as a peer does.
type conditional struct {
	dst      Target
	existing Existing
	// index is called with the pins that are there already as they should be:
	// a bulk run that was stopped may have left them without what belongs to
	// them. A dry run has none.
	index func(ctx context.Context, pins []state.BulkPin) error
}

// write writes the pins of a window. After an error some of them may be written.
func (c conditional) write(ctx context.Context, pins []state.BulkPin) (written, error) {
	var same []state.BulkPin
	sum, err := each(ctx, pins, c.put, func(pin state.BulkPin, one written) {
		if one.same() {
			same = append(same, pin)
		}
	})
	if err != nil || len(same) == 0 {
		return sum, err
	}
	return sum, c.index(ctx, same)
}

// each calls put with the pins, many at once, and then done with each result, one
// after another.
func each(ctx context.Context, pins []state.BulkPin, put func(context.Context, api.Pin) (written, error), done func(state.BulkPin, written)) (written, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	var mu sync.Mutex
	var sum written
	begun := 0
	for ; begun < len(pins) && groupCtx.Err() == nil; begun++ {
		pin := pins[begun]
		group.Go(func() error {
			one, err := put(groupCtx, pin.Pin)
			mu.Lock()
			defer mu.Unlock()
			sum.add(one)
			done(pin, one)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return sum, err
	}
	if begun < len(pins) {
		return sum, ctx.Err()
	}
	return sum, nil
}

// look is write for a dry run: it looks what is there.
func (c conditional) look(ctx context.Context, pins []state.BulkPin) (written, error) {
	return each(ctx, pins, c.lookAt, func(state.BulkPin, written) {})
}

// lookAt returns what put would do.
func (c conditional) lookAt(ctx context.Context, pin api.Pin) (written, error) {
	value, err := pin.ProtoMarshal()
	if err != nil {
		return written{}, fmt.Errorf("encoding the pin of %s: %w", pin.Cid, err)
	}
	current, err := c.dst.Get(ctx, pin.Cid)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return written{copied: 1}, nil
	case err != nil:
		return written{}, fmt.Errorf("reading the pin of %s: %w", pin.Cid, err)
	}
	err = c.existing.decide(&current, &pin, value)
	switch {
	case err == nil:
		return written{copied: 1, replaced: 1}, nil
	case errors.Is(err, errKept):
		return keptFor(err), nil
	default:
		return written{}, fmt.Errorf("writing the pin of %s: %w", pin.Cid, err)
	}
}

// keptFor is the result for a pin that stays, by the reason for it.
func keptFor(reason error) written {
	if errors.Is(reason, errSame) {
		return written{kept: 1}
	}
	return written{kept: 1, different: 1}
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
			return written{kept: 1}, nil
		}
	}
	for attempt := 1; ; attempt++ {
		var there bool // as the last call of the function saw it
		err := c.dst.Update(ctx, pin.Cid, func(current *api.Pin) (*api.Pin, error) {
			there = current != nil
			if there {
				if err := c.existing.decide(current, &pin, value); err != nil {
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
			return keptFor(err), nil
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
func (e Existing) decide(current, next *api.Pin, value []byte) error {
	have, err := current.ProtoMarshal()
	if err != nil {
		return fmt.Errorf("encoding the pin that is there: %w", err)
	}
	if bytes.Equal(have, value) {
		return errSame
	}
	newer := next.Timestamp.After(current.Timestamp)
	switch {
	case e == ExistingKeep, e == ExistingNewer && !newer:
		return errKept
	case e == ExistingNewer:
		return nil
	}
	stays := "both leave the one that is there"
	if newer {
		stays = fmt.Sprintf("%q replaces it", ExistingNewer)
	}
	return fmt.Errorf("%w (of %s, that of the source is of %s): choose --existing %s or --existing %s; %s",
		errConflict, stamp(current.Timestamp), stamp(next.Timestamp), ExistingNewer, ExistingKeep, stays)
}

// errConflict says that a pin is there already and differs.
var errConflict = errors.New("the pinset has another pin of it")

func stamp(t time.Time) string {
	if t.IsZero() {
		return "no time"
	}
	return t.UTC().Format(time.RFC3339)
}
