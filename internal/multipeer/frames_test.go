package multipeer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// usage is what was asked of the database with one statement: how often, and how
// many rows came back, in how many bytes. inside is how many statements travelled in
// batches, which count as one text.
type usage struct{ sent, rows, bytes, inside int }

func (u usage) plus(v usage) usage {
	return usage{u.sent + v.sent, u.rows + v.rows, u.bytes + v.bytes, u.inside + v.inside}
}

// statements is how many were sent, alone or in batches.
func (u usage) statements() int {
	if u.inside > 0 {
		return u.inside
	}
	return u.sent
}

// tally counts the statements that pass a link, by their text. It is safe for
// concurrent use.
type tally struct {
	mu       sync.Mutex
	by       map[string]usage
	prepared map[string]string // text by ID
	broken   error
}

func newTally() *tally {
	return &tally{by: make(map[string]usage), prepared: make(map[string]string)}
}

// take returns what was counted so far, without the driver's own questions, and
// begins at 0.
func (t *tally) take() (map[string]usage, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	by := t.by
	t.by = make(map[string]usage)
	for text := range by {
		if strings.Contains(text, "system.") || strings.Contains(text, "system_schema.") || strings.HasPrefix(text, "DESCRIBE") {
			delete(by, text)
		}
	}
	return by, t.broken
}

// sent is how often a statement was sent whose text has these parts.
func (t *tally) sent(parts ...string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := 0
	for text, u := range t.by {
		if containsAll(text, parts) {
			sum += u.sent
		}
	}
	return sum
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func (t *tally) add(text string, u usage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by[text] = t.by[text].plus(u)
}

func (t *tally) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = err
	}
}

// frame is one message of the CQL protocol, version 4.
type frame struct {
	head [9]byte
	body []byte
}

func (f *frame) stream() uint16 { return binary.BigEndian.Uint16(f.head[2:4]) }
func (f *frame) opcode() byte   { return f.head[4] }

// Opcodes and flags, from the specification of the protocol.
const (
	opQuery, opPrepare, opExecute, opBatch = 0x07, 0x09, 0x0a, 0x0d
	opResult                               = 0x08
	flagTracing, flagWarning               = 0x02, 0x08
	resultRows, resultPrepared             = 2, 4
	rowsGlobal, rowsMore, rowsNoMetadata   = 1, 2, 4
)

// batchText stands for all batches.
const batchText = "BATCH"

var errVersion = errors.New("this version of the protocol is not understood here")

func readFrame(r io.Reader) (*frame, error) {
	f := &frame{}
	if _, err := io.ReadFull(r, f.head[:]); err != nil {
		return nil, err
	}
	if version := f.head[0] & 0x7f; version > 4 {
		return nil, fmt.Errorf("%w: %d", errVersion, version)
	}
	f.body = make([]byte, binary.BigEndian.Uint32(f.head[5:9]))
	_, err := io.ReadFull(r, f.body)
	return f, err
}

// conversation is one connection to the database.
type conversation struct {
	tally *tally
	drop  func(text string, first []byte) bool
	mu    sync.Mutex
	asked map[uint16]string // what each stream waits for
	texts map[uint16]string // what it prepares
}

// request notes what is asked, and tells whether it gets lost.
func (c *conversation) request(f *frame) (lost bool) {
	d := &decoder{rest: f.body}
	text, inside := "", 0
	var first []byte
	switch f.opcode() {
	case opQuery:
		text = d.long()
	case opPrepare:
		c.mu.Lock()
		c.texts[f.stream()] = d.long()
		c.mu.Unlock()
		return false
	case opExecute:
		c.tally.mu.Lock()
		text = c.tally.prepared[d.short()]
		c.tally.mu.Unlock()
		first = firstValue(d)
	case opBatch:
		text = batchText
		d.take(1) // its type
		inside = int(d.uint16())
	default:
		return false
	}
	if d.err != nil || text == "" {
		c.tally.fail(fmt.Errorf("a request is not understood: opcode %d, %d bytes: %w", f.opcode(), len(f.body), d.err))
		return false
	}
	c.mu.Lock()
	c.asked[f.stream()] = text
	c.mu.Unlock()
	c.tally.add(text, usage{sent: 1, inside: inside})
	return c.drop(text, first)
}

// firstValue is the first of the values of an EXECUTE, behind its ID, nil when
// there is none.
func firstValue(d *decoder) []byte {
	if flags := d.take(3)[2]; flags&1 == 0 || d.uint16() == 0 {
		return nil
	}
	return d.take(max(0, d.int()))
}

// response notes what is answered.
func (c *conversation) response(f *frame) (lost bool) {
	c.mu.Lock()
	text, preparing := c.asked[f.stream()], c.texts[f.stream()]
	delete(c.asked, f.stream())
	delete(c.texts, f.stream())
	c.mu.Unlock()
	if f.opcode() != opResult {
		return false
	}
	d := &decoder{rest: f.body}
	if f.head[1]&flagTracing != 0 {
		d.take(16)
	}
	if f.head[1]&flagWarning != 0 {
		for range d.uint16() {
			d.short()
		}
	}
	switch d.int() {
	case resultPrepared:
		c.tally.mu.Lock()
		c.tally.prepared[d.short()] = preparing
		c.tally.mu.Unlock()
	case resultRows:
		rows := d.rows()
		if d.err != nil || text == "" {
			c.tally.fail(fmt.Errorf("the rows of %q are not understood: %w", text, d.err))
			return false
		}
		c.tally.add(text, usage{rows: rows, bytes: len(f.body)})
	}
	return false
}

// decoder reads the notations of the protocol.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.err = errors.New("it ends too soon")
		return make([]byte, max(n, 8))[:max(n, 0)]
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) int() int       { return int(int32(binary.BigEndian.Uint32(d.take(4)))) }
func (d *decoder) uint16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) short() string  { return string(d.take(int(d.uint16()))) }
func (d *decoder) long() string   { return string(d.take(d.int())) }

// rows skips the description of the columns and returns the number of rows.
func (d *decoder) rows() int {
	flags, columns := d.int(), d.int()
	if flags&rowsMore != 0 {
		d.take(max(d.int(), 0))
	}
	if flags&rowsNoMetadata == 0 {
		if flags&rowsGlobal != 0 {
			d.short()
			d.short()
		}
		for i := 0; i < columns && d.err == nil; i++ {
			if flags&rowsGlobal == 0 {
				d.short()
				d.short()
			}
			d.short()
			d.typ()
		}
	}
	return d.int()
}

// typ skips a type.
func (d *decoder) typ() {
	switch d.uint16() {
	case 0x00:
		d.short()
	case 0x20, 0x22:
		d.typ()
	case 0x21:
		d.typ()
		d.typ()
	case 0x30:
		d.short()
		d.short()
		for i := int(d.uint16()); i > 0 && d.err == nil; i-- {
			d.short()
			d.typ()
		}
	case 0x31:
		for i := int(d.uint16()); i > 0 && d.err == nil; i-- {
			d.typ()
		}
	}
}
