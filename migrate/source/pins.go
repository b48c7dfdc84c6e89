package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// decodePin reads one line of an export, and encodes the pin as `state import`
// of ipfs-cluster-service would store it.
func decodePin(line []byte) (api.Cid, []byte, error) {
	var pin api.Pin
	if err := json.Unmarshal(line, &pin); err != nil {
		return api.CidUndef, nil, fmt.Errorf("not a pin in JSON: %w", err)
	}
	if !pin.Cid.Defined() {
		return api.CidUndef, nil, errors.New("a pin without cid: is this an export of pins?")
	}
	switch pin.Type {
	case api.DataType, api.MetaType, api.ClusterDAGType, api.ShardType:
	default:
		if typeText(line) == api.BadType.String() {
			break // what an export says of a pin that was stored without a type
		}
		return api.CidUndef, nil, fmt.Errorf("the pin of %s has no type, or one that is unknown", pin.Cid)
	}
	value, err := pin.ProtoMarshal()
	if err != nil {
		return api.CidUndef, nil, fmt.Errorf("the pin of %s cannot be stored: %w", pin.Cid, err)
	}
	return pin.Cid, value, nil
}

// typeText is the type of a pin as it is written.
func typeText(line []byte) string {
	var pin struct {
		Type any `json:"type"`
	}
	if err := json.Unmarshal(line, &pin); err != nil {
		return ""
	}
	text, _ := pin.Type.(string)
	return text
}

// longestLine is more than any pin has: its allocations, origins and metadata
// are some kilobytes.
const longestLine = 16 << 20

// lines reads lines.
type lines struct {
	in     *bufio.Reader
	number int64 // of the last line
	end    int64 // the offset behind it
	err    error // what follows the last line
}

// next returns the next line that is not blank, without its end, and whether it
// had one. It is valid until the next call. The error is io.EOF behind the last.
func (l *lines) next() (line []byte, ended bool, err error) {
	for {
		line, ended, err = l.any()
		if err != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, ended, err
		}
	}
}

func (l *lines) any() (line []byte, ended bool, err error) {
	if l.err != nil {
		return nil, false, l.err
	}
	l.number++
	line, err = l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.long(line)
	}
	l.end += int64(len(line))
	if err == nil {
		return line[:len(line)-1], true, nil
	}
	l.err = err
	if len(line) == 0 {
		return nil, false, err
	}
	return line, false, nil
}

// long reads on in a line that does not fit into the buffer.
func (l *lines) long(begin []byte) ([]byte, error) {
	line := bytes.Clone(begin)
	for {
		more, err := l.in.ReadSlice('\n')
		line = append(line, more...)
		if len(line) > longestLine {
			return nil, fmt.Errorf("line %d is longer than %d MiB: this is no export of pins", l.number, longestLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// errNotWhole says that the text of pins ends too early.
var errNotWhole = errors.New("the last line is cut off: the file is not whole")

// readPins calls f or bad for each line that is not blank, from the n-th record
// on. Position makes the key of the position behind the last line.
func readPins(l *lines, n int64, key func() []byte, f func(Record) error, bad func(Bad) error) error {
	var cut bool
	for {
		line, ended, err := l.next()
		if errors.Is(err, io.EOF) && cut {
			return errNotWhole
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n++
		c, value, err := decodePin(line)
		after := Position{Key: key(), Records: n}
		if err == nil {
			err = f(Record{Cid: c, Value: value, After: after})
		} else {
			cut = !ended && !json.Valid(line)
			if cut {
				err = fmt.Errorf("%w: %w", errNotWhole, err)
			}
			err = bad(Bad{At: fmt.Sprintf("line %d", l.number), Err: err, After: after})
		}
		if err != nil {
			return err
		}
	}
}
