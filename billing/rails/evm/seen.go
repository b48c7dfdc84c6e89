package evm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// listed is what was seen in a segment before it was final. The journal has it as a list,
// so that after a stop it is known what may be gone.
type listed struct {
	entries []entry
	ids     map[string]bool
	// told is in which block this process has told of them, and dropped which it has told
	// to be gone.
	told    map[string]Hash
	dropped map[string]bool
}

// entry is one of the list.
type entry struct {
	Log  Log       `json:"log"`
	Time time.Time `json:"time"`
}

// load reads the rest of the list of a segment.
func (w *Watcher) load(ctx context.Context, segment uint64) (*listed, error) {
	l := w.seen[segment]
	if l == nil {
		l = &listed{ids: make(map[string]bool), told: make(map[string]Hash), dropped: make(map[string]bool)}
		w.seen[segment] = l
	}
	for {
		text, err := w.journal.Recall(ctx, w.rail, w.key("seen", segment, uint64(len(l.entries))))
		if err != nil || text == "" {
			return l, err
		}
		if err := l.add(text); err != nil {
			return nil, fmt.Errorf("what was seen in segment %d of %s: %w", segment, w.config.Name, err)
		}
	}
}

func (l *listed) add(text string) error {
	var e entry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return err
	}
	l.entries = append(l.entries, e)
	l.ids[e.Log.ID()] = true
	return nil
}

// list keeps a log that is not final in the list of its segment.
func (w *Watcher) list(ctx context.Context, segment uint64, event Event) error {
	l, err := w.load(ctx, segment)
	if err != nil {
		return err
	}
	id := event.ID()
	text, err := json.Marshal(entry{event.Log, event.Time})
	if err != nil {
		return err
	}
	for !l.ids[id] { // another process may take the next place
		kept, err := w.journal.Remember(ctx, w.rail, w.key("seen", segment, uint64(len(l.entries))), string(text))
		if err != nil {
			return err
		}
		if err := l.add(kept); err != nil {
			return err
		}
	}
	delete(l.dropped, id)
	return nil
}

// tellDropped tells of what was seen in a segment, in blocks that are final by now, and is
// not there.
func (w *Watcher) tellDropped(ctx context.Context, segment uint64, found map[string]bool, final, head uint64) error {
	l, err := w.load(ctx, segment)
	if err != nil {
		return err
	}
	for _, e := range l.entries {
		id := e.Log.ID()
		if found[id] || l.dropped[id] || uint64(e.Log.Block) > final {
			continue
		}
		gone, err := w.isGone(ctx, e.Log, final)
		if err != nil {
			return err
		}
		if gone {
			if err := w.handler.Dropped(ctx, Event{Log: e.Log, Time: e.Time, Head: head}); err != nil {
				return err
			}
			l.dropped[id] = true
			delete(l.told, id)
		}
	}
	return nil
}

// isGone asks the nodes for the receipt of a log that should be there and was not given.
func (w *Watcher) isGone(ctx context.Context, log Log, final uint64) (bool, error) {
	for _, node := range w.nodes {
		receipt, err := node.Receipt(ctx, log.TxHash)
		if err != nil {
			return false, err
		}
		if receipt == nil || receipt.Status != 1 {
			continue
		}
		for _, l := range receipt.Logs {
			if l.Index == log.Index && uint64(l.Block) <= final && l.Block/segmentBlocks == log.Block/segmentBlocks {
				return false, fmt.Errorf("%s: %w: the log %s is in a receipt, and not in the logs of its blocks", w.config.Name, ErrNodes, log.ID())
			}
			if l.Index == log.Index {
				return false, nil // in a later block: it is told of there
			}
		}
	}
	return true, nil
}
