package evm

import (
	"context"
	"fmt"
)

// readSegment tells of all logs in blocks from to to of a segment, and notes that it is done
// if all of it is final.
func (w *Watcher) readSegment(ctx context.Context, segment, from, to, final, head uint64) error {
	logs, err := w.nodes[0].Logs(ctx, w.query, from, to)
	if err != nil {
		return err
	}
	// A node that is not there yet answers with less, and no error. Which block was last
	// is asked after the logs, so that one that has only been replaced is noticed, too.
	if _, err := w.nodes[0].atOrBefore(ctx, to); err != nil {
		return err
	}
	found := make(map[string]bool)
	for _, log := range logs {
		wanted, err := w.handler.Wants(ctx, log)
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		found[log.ID()] = true
		if err := w.tell(ctx, segment, log, final, head); err != nil {
			return err
		}
	}
	for id, hash := range w.finals[segment] {
		if !found[id] {
			return fmt.Errorf("%s: %w: the log %s was in block %s", w.config.Name, ErrForked, id, hash)
		}
	}
	if segment < w.next {
		return nil
	}
	if err := w.tellDropped(ctx, segment, found, final, head); err != nil {
		return err
	}
	if (segment+1)*segmentBlocks-1 > final {
		return nil
	}
	return w.finish(ctx, segment)
}

// tell tells of one log.
func (w *Watcher) tell(ctx context.Context, segment uint64, log Log, final, head uint64) error {
	event := Event{Log: log, Final: uint64(log.Block) <= final, Head: head}
	if told, ok := w.finals[segment][log.ID()]; ok {
		if told != log.BlockHash {
			return fmt.Errorf("%s: %w: the log %s was in block %s and is in %s", w.config.Name, ErrForked, log.ID(), told, log.BlockHash)
		}
		return nil
	}
	if l := w.seen[segment]; !event.Final && l != nil && l.told[log.ID()] == log.BlockHash {
		return nil
	}
	block, err := w.nodes[0].Block(ctx, uint64(log.Block))
	if err != nil {
		return err
	}
	if block == nil || block.Hash != log.BlockHash {
		return fmt.Errorf("%s: %w: the log %s is in block %s, which is not at height %d", w.config.Name, ErrNodes, log.ID(), log.BlockHash, log.Block)
	}
	event.Time = block.Time()
	if !event.Final {
		if err := w.list(ctx, segment, event); err != nil {
			return err
		}
		if err := w.handler.Seen(ctx, event); err != nil {
			return err
		}
		w.seen[segment].told[log.ID()] = log.BlockHash
		return nil
	}
	if err := w.confirm(ctx, log); err != nil {
		return err
	}
	if err := w.handler.Seen(ctx, event); err != nil {
		return err
	}
	if w.finals[segment] == nil {
		w.finals[segment] = make(finals)
	}
	w.finals[segment][log.ID()] = log.BlockHash
	return nil
}

// confirm asks every node whether a final log is in the receipt of its transaction.
func (w *Watcher) confirm(ctx context.Context, log Log) error {
	for i, node := range w.nodes {
		receipt, err := node.Receipt(ctx, log.TxHash)
		if err != nil {
			return err
		}
		if receipt == nil || receipt.Status != 1 || !receipt.has(log) {
			return fmt.Errorf("%s: %w: the log %s of block %s is not in the receipt that node %d has", w.config.Name, ErrNodes, log.ID(), log.BlockHash, i+1)
		}
	}
	return nil
}

func (r *Receipt) has(log Log) bool {
	for _, l := range r.Logs {
		if l.same(log) {
			return true
		}
	}
	return false
}
