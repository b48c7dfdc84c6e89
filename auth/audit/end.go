package audit

import (
	"bytes"
	"errors"
	"fmt"
)

// End is where a chain goes on. The zero End is that of a chain without records.
type End struct {
	seq  int64
	hash hash
}

// EndBefore returns the End of a chain whose records are gone: it goes on with the number
// first, and after nothing.
func EndBefore(first int64) End { return End{seq: first - 1} }

// EndOf returns where a chain goes on after lines, of which the first has the number first.
// It returns an error unless they are a piece of a chain of the writer.
func EndOf(writer string, first int64, text []byte) (End, error) {
	var at End
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return at, errTorn
		}
		next, err := at.next(writer, line)
		if err != nil {
			return at, fmt.Errorf("line %d: %w", n, err)
		}
		if n == 1 && next.seq != first {
			return at, fmt.Errorf("it begins with record %d, not with %d", next.seq, first)
		}
		at, text = next, rest
	}
	if at.seq == 0 {
		return at, errors.New("there is no line")
	}
	return at, nil
}

// next returns where the chain of a writer goes on after a line. Any line follows the zero
// End.
func (at End) next(writer string, line []byte) (End, error) {
	e, err := parseLine(line)
	switch {
	case err != nil:
		return at, err
	case e.hash != e.sum || e.record.Writer != writer:
		return at, errors.New("it is not as it was written")
	case at.seq != 0 && (e.record.Seq != at.seq+1 || e.prev != at.hash):
		return at, errors.New("it does not follow the one before")
	}
	return End{seq: e.record.Seq, hash: e.hash}, nil
}
