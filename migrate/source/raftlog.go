package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/boltdb/bolt"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ugorji/go/codec"
	"go.opencensus.io/trace"
)

// longestLog is how many entries may follow the snapshot: all their pins are
// kept in memory. Raft writes a snapshot every few thousand.
const longestLog = 10_000_000

// raftLog is what the log of a raft peer says after its snapshot.
type raftLog struct {
	// values has the last value of each pin by the bytes of its CID, nil for one
	// that was unpinned.
	values map[string][]byte
	// commands is how many pins and unpins there are, from firstCommand on.
	commands     int
	firstCommand uint64
	// last and term are those of the last entry, also one before the snapshot.
	last, term uint64
	// absent says that there is no log at all.
	absent bool
}

// The operations of consensus/raft.
const (
	opPin   = 1
	opUnpin = 2
)

// logOp is consensus/raft.LogOp as it is in the log. That one holds a whole
// consensus component.
type logOp struct {
	SpanCtx trace.SpanContext `codec:"s,omitempty"`
	TagCtx  []byte            `codec:"t,omitempty"`
	Cid     api.Pin           `codec:"c,omitempty"`
	Type    int               `codec:"p,omitempty"`
}

// decode decodes an entry of the log as go-libp2p-raft does: over the entry
// before it. What an entry does not have, because it was zero, is left as it
// was there. This is wrong, but the peers do it: it is what their pinset is.
func (op *logOp) decode(data []byte) error {
	h := &codec.MsgpackHandle{}
	h.ErrorIfNoField = true
	return codec.NewDecoderBytes(data, h).Decode(op)
}

// readRaftLog reads the log of a peer behind the index that its snapshot has
// covered. A log that is not there is empty.
func readRaftLog(name string, covered uint64) (*raftLog, error) {
	l := &raftLog{values: make(map[string][]byte)}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		l.absent = true
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the raft log: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		// Bolt would write into an empty one even if it is told to read only.
		return nil, fmt.Errorf("the raft log %s is damaged: it is empty", name)
	}
	err = checkBolt(name, info.Size())
	if what := trouble(err); what != "" {
		return nil, fmt.Errorf("the raft log %s cannot be read: %s: %w", name, what, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the raft log %s is damaged: %w", name, err)
	}
	err = guarded(func() error { return l.read(name, covered) })
	var damaged *damage
	switch {
	case errors.Is(err, bolt.ErrTimeout):
		return nil, fmt.Errorf("the raft log %s is in use: stop the daemon first: %w", name, err)
	case errors.As(err, &damaged):
		return nil, fmt.Errorf("the raft log %s is damaged, or was copied while the peer was running: %w", name, err)
	case err != nil:
		return nil, fmt.Errorf("the raft log %s: %w", name, err)
	}
	return l, nil
}

func (l *raftLog) read(name string, covered uint64) (err error) {
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        name,
		BoltOptions: &bolt.Options{ReadOnly: true, Timeout: 200 * time.Millisecond},
	})
	if errors.Is(err, bolt.ErrTimeout) {
		return err
	}
	if err != nil {
		return &damage{err}
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	begin, err := store.FirstIndex()
	if err != nil {
		return &damage{err}
	}
	if l.last, err = store.LastIndex(); err != nil {
		return &damage{err}
	}
	if l.last > 0 {
		var entry raft.Log
		if err := store.GetLog(l.last, &entry); err != nil {
			return &damage{fmt.Errorf("entry %d: %w", l.last, err)}
		}
		l.term = entry.Term
	}
	if l.last <= covered {
		return nil
	}
	if begin > covered+1 {
		return missing(covered+1, begin-1)
	}
	if n := l.last - covered; n > longestLog {
		return fmt.Errorf("%d entries follow the snapshot, more than the %d that fit into memory: start the peer once and shut it down cleanly, so that it writes a snapshot", n, longestLog)
	}
	return l.apply(store, covered+1)
}

// apply goes through the entries of the log from an index on.
func (l *raftLog) apply(store *raftboltdb.BoltStore, from uint64) error {
	var op logOp
	for index := from; index <= l.last; index++ {
		var entry raft.Log
		err := store.GetLog(index, &entry)
		if errors.Is(err, raft.ErrLogNotFound) {
			return missing(index, index)
		}
		if err != nil {
			return &damage{fmt.Errorf("entry %d: %w", index, err)}
		}
		if entry.Index != index {
			return &damage{fmt.Errorf("entry %d says that it is %d", index, entry.Index)}
		}
		if entry.Type != raft.LogCommand {
			continue // it is about the raft itself
		}
		if err := l.command(&op, entry.Data); err != nil {
			return fmt.Errorf("entry %d cannot be applied: %w: start the peer once and shut it down cleanly, so that it writes a snapshot", index, err)
		}
		if l.commands++; l.commands == 1 {
			l.firstCommand = index
		}
	}
	return nil
}

// command applies one pin or unpin.
func (l *raftLog) command(op *logOp, data []byte) error {
	if err := op.decode(data); err != nil {
		return fmt.Errorf("decoding it: %w", err)
	}
	if !op.Cid.Defined() {
		return errors.New("it has no CID")
	}
	switch op.Type {
	case opPin:
		value, err := op.Cid.ProtoMarshal()
		if err != nil {
			return fmt.Errorf("the pin of %s cannot be stored: %w", op.Cid.Cid, err)
		}
		l.values[op.Cid.Cid.KeyString()] = value
	case opUnpin:
		l.values[op.Cid.Cid.KeyString()] = nil
	default:
		return fmt.Errorf("it is the operation %d, which is unknown", op.Type)
	}
	return nil
}

func missing(from, to uint64) error {
	return fmt.Errorf("the entries from %d to %d are missing between the snapshot and the last one: start the peer once, let it catch up with the others and shut it down cleanly, or migrate from another peer", from, to)
}
