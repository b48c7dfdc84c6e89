package scyllaface

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	protocol "github.com/datastax/go-cassandra-native-protocol/frame"
	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

const (
	headerSize = 9
	// maxBody is the largest body that Cassandra takes or sends.
	maxBody = 256 << 20
	// version is the only one spoken here; fromServer is added to it in an answer.
	version    = 4
	fromServer = 0x80
)

// frame is a message as it travels: its body is not decoded.
type frame struct {
	version byte
	flags   primitive.HeaderFlag
	stream  int16
	op      primitive.OpCode
	body    []byte
}

func readFrame(r io.Reader) (frame, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	f := frame{
		version: h[0],
		flags:   primitive.HeaderFlag(h[1]),
		stream:  int16(binary.BigEndian.Uint16(h[2:])),
		op:      primitive.OpCode(h[4]),
	}
	size := binary.BigEndian.Uint32(h[5:])
	if size > maxBody {
		return f, fmt.Errorf("a frame of %d bytes, at most %d are allowed", size, maxBody)
	}
	f.body = make([]byte, size)
	_, err := io.ReadFull(r, f.body)
	return f, err
}

func writeFrame(w io.Writer, f frame) error {
	b := make([]byte, headerSize, headerSize+len(f.body))
	b[0], b[1], b[4] = f.version, byte(f.flags), byte(f.op)
	binary.BigEndian.PutUint16(b[2:], uint16(f.stream))
	binary.BigEndian.PutUint32(b[5:], uint32(len(f.body)))
	_, err := w.Write(append(b, f.body...))
	return err
}

// newFrame encodes a message of the face's own.
func newFrame(stream int16, m message.Message) (frame, error) {
	var b bytes.Buffer
	if err := protocol.NewCodec().EncodeFrame(protocol.NewFrame(version, stream, m), &b); err != nil {
		return frame{}, err
	}
	return readFrame(&b)
}

// errShort says that a body ends before what it announces.
var errShort = errors.New("the body of a frame ends too early")

// cursor reads a body. Once it has read past the end it returns zero values
// and err is set.
type cursor struct {
	body []byte
	at   int
	err  error
}

func (c *cursor) next(n int) []byte {
	if c.err == nil && (n < 0 || n > len(c.body)-c.at) {
		c.err = errShort
	}
	if c.err != nil {
		return nil
	}
	c.at += n
	return c.body[c.at-n : c.at]
}

func (c *cursor) byte() byte {
	if b := c.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) short() int {
	if b := c.next(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int() int {
	if b := c.next(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// string reads [string] or [short bytes], which look the same.
func (c *cursor) string() []byte { return c.next(c.short()) }

func (c *cursor) longString() []byte { return c.next(c.int()) }

// value reads [bytes] or [value]. A negative length means null or not set.
func (c *cursor) value() []byte {
	n := c.int()
	if n < 0 {
		return nil
	}
	return c.next(n)
}

// envelope skips what the flags announce before the message itself.
func (c *cursor) envelope(flags primitive.HeaderFlag, answer bool) {
	if answer && flags.Contains(primitive.HeaderFlagTracing) {
		c.next(16)
	}
	if answer && flags.Contains(primitive.HeaderFlagWarning) {
		for n := c.short(); n > 0 && c.err == nil; n-- {
			c.string()
		}
	}
	if flags.Contains(primitive.HeaderFlagCustomPayload) {
		for n := c.short(); n > 0 && c.err == nil; n-- {
			c.string()
			c.value()
		}
	}
}
