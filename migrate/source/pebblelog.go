package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// A log of pebble has blocks, a block has chunks, and one or more chunks are a
// record. A header is before each chunk: a checksum of what follows it, the length
// of the content, the kind, the number of the log, and in newer logs an offset.
// Behind the last chunk there are zeros, or what an older log has left in a file
// that is used again.
const (
	pebbleBlock      = 32 << 10
	pebbleHeader     = 11
	pebbleLongHeader = 19
	pebbleKind       = 6 // where in the header the kind is
	pebbleNumber     = 7 // where the number of the log is
)

// Kinds of chunks: a whole record, the first, a middle or the last part of one. Those
// with the long header follow in the same order.
const (
	pebbleWhole = 5 + iota
	pebbleFirst
	pebbleMiddle
	pebbleLast
	pebbleLongWhole
	pebbleLongLast = pebbleLongWhole + pebbleLast - pebbleWhole
)

// pebbleChange is where a record says which changes are in it: the number of the
// first, and how many they are.
const pebbleChange = 12

// pebbleLog reads one log of pebble. Pebble itself takes the first record of the last
// log that is damaged for the end of it, and says nothing of those behind it.
type pebbleLog struct {
	number uint32
	next   uint64 // the number of the next change, 0 if it is not known
	filled bool   // there are changes in it
	closed bool   // its peer has written the end of it

	open bool   // the record goes on in the next chunk
	head []byte // its first bytes
}

// checkPebbleLogs reads the logs that pebble will replay. Closed says that the peer has
// stopped by itself: it writes all changes to tables then and leaves an empty log.
func checkPebbleLogs(folder string, flushed pebbleFlushed) (closed bool, err error) {
	logs, err := wal.Scan(wal.Dir{FS: vfs.Default, Dirname: folder})
	if err != nil {
		return false, err
	}
	logs = slices.DeleteFunc(logs, func(l wal.LogicalLog) bool { return uint64(l.Num) < flushed.log })
	if len(logs) == 0 {
		return false, &unclean{fmt.Errorf("its log %06d, or the one after that, is missing", flushed.log)}
	}
	var next uint64
	if uint64(logs[0].Num) != flushed.log && flushed.change != 0 {
		// A peer that starts names a number that it gives to no log. The first log
		// begins with the next change then.
		next = flushed.change + 1
	}
	for i, log := range logs {
		_, name := log.SegmentLocation(0)
		l := &pebbleLog{number: uint32(log.Num), next: next}
		if err := l.readFile(name); err != nil {
			return false, err
		}
		if i < len(logs)-1 && !l.closed {
			return false, l.damaged("it has no end, and another one follows")
		}
		next, closed = l.next, l.closed && !l.filled
	}
	return closed, nil
}

func (l *pebbleLog) readFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return l.read(file)
}

// read reads a log to its end. The error is unclean when that is not where its peer
// has stopped to write.
func (l *pebbleLog) read(in io.Reader) error {
	block := make([]byte, pebbleBlock)
	for {
		n, err := io.ReadFull(in, block)
		if err != nil && !isEnd(err) {
			return err
		}
		if n == 0 {
			return l.ends()
		}
		rest, err := l.chunks(block[:n])
		if err != nil || l.closed {
			return err
		}
		if rest != nil {
			return l.endsBefore(rest, in)
		}
	}
}

// chunks reads the chunks of a block, and returns what is left of it where there is
// none any more.
func (l *pebbleLog) chunks(b []byte) (rest []byte, err error) {
	for len(b) > 0 {
		c, found := parsePebbleChunk(b)
		switch {
		case l.isTrailer(b):
			l.closed = true
			return nil, l.ends()
		case len(b) < pebbleLongHeader && isZero(b):
			return nil, nil // no header fits into the rest of the block
		case !found || c.number != l.number:
			return b, nil
		}
		if err := l.add(c); err != nil {
			return nil, err
		}
		b = b[c.size:]
	}
	return nil, nil
}

// isTrailer knows the end of a log that was closed: a header with the next number,
// and nothing else in it.
func (l *pebbleLog) isTrailer(b []byte) bool {
	return len(b) >= pebbleHeader && b[pebbleKind] == pebbleWhole && isZero(b[:pebbleKind]) &&
		binary.LittleEndian.Uint32(b[pebbleNumber:]) == l.number+1
}

// add takes up a chunk.
func (l *pebbleLog) add(c pebbleChunk) error {
	begins, ends := c.kind == pebbleWhole || c.kind == pebbleFirst, c.kind == pebbleWhole || c.kind == pebbleLast
	if begins == l.open {
		return l.damaged("a record is not whole")
	}
	if begins {
		l.head = l.head[:0]
	}
	l.head = append(l.head, c.content[:min(len(c.content), pebbleChange-len(l.head))]...)
	l.open = !ends
	if !ends {
		return nil
	}
	if len(l.head) < pebbleChange {
		return l.damaged("a record is too short")
	}
	change, count := binary.LittleEndian.Uint64(l.head), binary.LittleEndian.Uint32(l.head[8:])
	if count == 0 {
		return nil // a note
	}
	if l.next != 0 && change != l.next {
		return l.damaged(fmt.Sprintf("change %d follows where %d was expected", change, l.next))
	}
	l.next, l.filled = change+uint64(count), true
	return nil
}

func (l *pebbleLog) ends() error {
	if l.open {
		return l.damaged("its last record is not whole")
	}
	return nil
}

// endsBefore makes sure that nothing of this log follows its last chunk. What follows
// may only be zeros or begin in the middle of a chunk of an older log. Everything else
// is a record that is damaged.
func (l *pebbleLog) endsBefore(b []byte, in io.Reader) error {
	if err := l.ends(); err != nil {
		return err
	}
	if l.wasChunk(b) {
		return l.damaged("a record cannot be read")
	}
	empty, older := true, false
	block := make([]byte, pebbleBlock)
	for {
		empty = empty && isZero(b)
		if l.hasChunk(b, func(number uint32) bool { return number == l.number }) {
			return l.damaged("a record before its end cannot be read")
		}
		older = older || l.hasChunk(b, func(number uint32) bool { return number < l.number })
		n, err := io.ReadFull(in, block)
		if err != nil && !isEnd(err) {
			return err
		}
		if n == 0 {
			break
		}
		b = block[:n]
	}
	if !empty && !older {
		return l.damaged("what follows its last record cannot be read")
	}
	return nil
}

// wasChunk says whether a chunk of this log begins here that is damaged now.
func (l *pebbleLog) wasChunk(b []byte) bool {
	if len(b) < pebbleHeader {
		return false
	}
	if binary.LittleEndian.Uint32(b[pebbleNumber:]) == l.number {
		return true
	}
	// Its number may be what is damaged.
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[pebbleNumber:], l.number)
	_, found := parsePebbleChunk(b)
	return found
}

// hasChunk looks at every place of a block for a whole chunk of such a log.
func (l *pebbleLog) hasChunk(b []byte, ofLog func(number uint32) bool) bool {
	for ; len(b) >= pebbleHeader; b = b[1:] {
		if !ofLog(binary.LittleEndian.Uint32(b[pebbleNumber:])) {
			continue
		}
		if _, found := parsePebbleChunk(b); found {
			return true
		}
	}
	return false
}

func (l *pebbleLog) damaged(what string) error {
	return &unclean{fmt.Errorf("its log %06d: %s", l.number, what)}
}

// pebbleChunk is one chunk, its kind without regard to the header.
type pebbleChunk struct {
	kind    byte
	number  uint32
	content []byte
	size    int // with the header
}

// parsePebbleChunk returns the chunk that bytes begin with, if there is one and its
// checksum is right.
func parsePebbleChunk(b []byte) (c pebbleChunk, found bool) {
	if len(b) < pebbleHeader || b[pebbleKind] < pebbleWhole || b[pebbleKind] > pebbleLongLast {
		return c, false
	}
	c.kind = b[pebbleKind]
	header := pebbleHeader
	if c.kind >= pebbleLongWhole {
		c.kind -= pebbleLongWhole - pebbleWhole
		header = pebbleLongHeader
	}
	c.size = header + int(binary.LittleEndian.Uint16(b[4:]))
	if c.size > len(b) {
		return c, false
	}
	c.number, c.content = binary.LittleEndian.Uint32(b[pebbleNumber:]), b[header:c.size]
	sum := crc32.Checksum(b[pebbleKind:c.size], crc32.MakeTable(crc32.Castagnoli))
	return c, binary.LittleEndian.Uint32(b) == bits.RotateLeft32(sum, 17)+0xa282ead8
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
