package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// importedPin is one pin of an import, or the error that ends it.
type importedPin struct {
	pin  api.Pin
	line int // on which the pin ends
	err  error
}

// readPins reads JSON pins from r until the end, an error or the end of ctx,
// and closes the channel then. It reads beside its caller, who can notice the
// end of ctx while r waits for a terminal.
func readPins(ctx context.Context, r io.Reader) <-chan importedPin {
	items := make(chan importedPin, importBatch)
	go func() {
		defer close(items)
		lines := &lineReader{r: r}
		dec := json.NewDecoder(lines)
		for {
			item, more := nextPin(dec, lines)
			if !more {
				return
			}
			select {
			case items <- item:
			case <-ctx.Done():
				return
			}
			if item.err != nil {
				return
			}
		}
	}()
	return items
}

// nextPin returns the next pin, or false at the end of the input.
func nextPin(dec *json.Decoder, lines *lineReader) (importedPin, bool) {
	var pin api.Pin
	err := dec.Decode(&pin)
	if errors.Is(err, io.EOF) {
		return importedPin{}, false
	}
	var syntaxErr *json.SyntaxError
	offset := dec.InputOffset()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = lines.read
		err = errors.New("the input ends in the middle of a pin: the file is not whole")
	case errors.As(err, &syntaxErr):
		offset = max(offset, syntaxErr.Offset)
		err = fmt.Errorf("not a pin in JSON: %w", err)
	case err != nil:
		err = fmt.Errorf("not a pin: %w", err)
	default:
		err = checkPin(pin)
	}
	line := lines.lineAt(offset)
	if err != nil {
		return importedPin{err: fmt.Errorf("line %d: %w", line, err)}, true
	}
	return importedPin{pin: pin, line: line}, true
}

// checkPin refuses what is JSON but cannot be a pin.
func checkPin(pin api.Pin) error {
	if !pin.Cid.Defined() {
		return errors.New("a pin without cid")
	}
	switch pin.Type {
	case api.DataType, api.MetaType, api.ClusterDAGType, api.ShardType:
		return nil
	default:
		return fmt.Errorf("the pin of %s has no type, or one that is unknown: use \"pin\", \"meta-pin\", \"clusterdag-pin\" or \"shard-pin\"", pin.Cid)
	}
}

// lineReader remembers where lines end in what is read from r.
type lineReader struct {
	r    io.Reader
	read int64
	line int     // lines that end before the first of ends
	ends []int64 // offsets of the newlines after them
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// lineAt returns the number of the line, from 1, that the byte before offset is
// on. Offsets must not go down from call to call.
func (l *lineReader) lineAt(offset int64) int {
	passed := 0
	for passed < len(l.ends) && l.ends[passed] < offset-1 {
		passed++
	}
	l.ends = l.ends[passed:]
	l.line += passed
	return l.line + 1
}
