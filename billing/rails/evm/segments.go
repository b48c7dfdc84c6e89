package evm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// key is where the journal has something of this chain.
func (w *Watcher) key(what string, numbers ...uint64) string {
	key := what + "/" + strconv.FormatUint(w.config.ChainID, 10)
	if w.config.ReadAgain > 0 {
		key += "-" + strconv.FormatUint(w.config.ReadAgain, 10)
	}
	for _, n := range numbers {
		key += "/" + strconv.FormatUint(n, 10)
	}
	return key
}

// keptNumber returns a number that was kept, and keeps n if there is none.
func (w *Watcher) keptNumber(ctx context.Context, what string, n uint64) (uint64, error) {
	key := w.key(what)
	kept, err := w.journal.Recall(ctx, w.rail, key)
	if err == nil && kept == "" {
		kept, err = w.journal.Remember(ctx, w.rail, key, strconv.FormatUint(n, 10))
	}
	if err != nil {
		return 0, err
	}
	n, err = strconv.ParseUint(kept, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("what is kept as %s is not a number: %w", key, err)
	}
	return n, nil
}

// done returns the hash of the last block of a segment that is done, "" if it is not.
func (w *Watcher) done(ctx context.Context, segment uint64) (string, error) {
	return w.journal.Recall(ctx, w.rail, w.key("done", segment))
}

// resume finds the first segment that is not done, and looks whether the chain still has
// the end of the one before.
func (w *Watcher) resume(ctx context.Context, first uint64) error {
	open, err := w.firstOpen(ctx, max(w.next, first))
	if err != nil {
		return err
	}
	if open == first {
		w.next = open
		return nil
	}
	text, err := w.done(ctx, open-1)
	if err != nil {
		return err
	}
	var kept Hash
	if err := kept.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("segment %d of %s: %w", open-1, w.config.Name, err)
	}
	for _, node := range w.nodes {
		has, err := node.atOrBefore(ctx, open*segmentBlocks-1)
		if err != nil {
			return err
		}
		if has.Hash != kept {
			return fmt.Errorf("%s: %w: block %d was %s and is %s", w.config.Name, ErrForked, has.Number, kept, has.Hash)
		}
	}
	w.next = open
	return nil
}

// firstOpen returns the first segment from one on that is not done. All before one that is
// done are done.
func (w *Watcher) firstOpen(ctx context.Context, from uint64) (uint64, error) {
	isDone := func(segment uint64) (bool, error) {
		hash, err := w.done(ctx, segment)
		return hash != "", err
	}
	step := uint64(1)
	for {
		done, err := isDone(from + step - 1)
		if err != nil {
			return 0, err
		}
		if !done {
			break
		}
		from, step = from+step, step*2
	}
	for low, high := from, from+step-1; ; {
		if low == high {
			return low, nil
		}
		middle := low + (high-low)/2
		done, err := isDone(middle)
		switch {
		case err != nil:
			return 0, err
		case done:
			low = middle + 1
		default:
			high = middle
		}
	}
}

// nullRounds is how many rounds of Filecoin without a block may follow each other.
const nullRounds = 100

// atOrBefore returns the block with a number, or the last one before it where its round had none.
func (c *Client) atOrBefore(ctx context.Context, number uint64) (Block, error) {
	for n := number; n+nullRounds > number && n > 0; n-- {
		block, err := c.Block(ctx, n)
		switch {
		case errors.Is(err, errNullRound):
			continue
		case err != nil:
			return Block{}, err
		case block == nil:
			return Block{}, fmt.Errorf("%s: %w: the node does not have block %d yet", c.name, ErrNodes, n)
		}
		return *block, nil
	}
	return Block{}, fmt.Errorf("%s: %w: the chain has no block %d, nor one shortly before", c.name, ErrNodes, number)
}

// finish notes that a segment is done. All that it has was told and kept before.
func (w *Watcher) finish(ctx context.Context, segment uint64) error {
	end, err := w.nodes[0].atOrBefore(ctx, (segment+1)*segmentBlocks-1)
	if err != nil {
		return err
	}
	kept, err := w.journal.Remember(ctx, w.rail, w.key("done", segment), end.Hash.String())
	if err != nil {
		return err
	}
	if kept != end.Hash.String() {
		return fmt.Errorf("%s: %w: block %d is %s, and another process found %s", w.config.Name, ErrForked, end.Number, end.Hash, kept)
	}
	w.next = segment + 1
	if segment > 0 { // it is not read again
		delete(w.finals, segment-1)
	}
	delete(w.seen, segment)
	return nil
}
