package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// begin finds the end of the chain, and opens its file. It returns what was cut off, nil if
// that is nothing.
func (l *fileLog) begin() (End, *Dropped, error) {
	found, err := segmentsOf(l.dir, l.writer)
	if err != nil {
		return End{}, nil, err
	}
	var at End
	var dropped *Dropped
	path := segmentPath(l.dir, l.writer, 1)
	if len(found) > 0 {
		path = found[len(found)-1].path
		if at, dropped, err = l.recover(found); err != nil {
			return End{}, nil, err
		}
	}
	if l.out, err = l.open(path); err != nil {
		return End{}, nil, err
	}
	return at, dropped, syncDir(l.dir)
}

// recover finds where the chain goes on and cuts off what is after it.
func (l *fileLog) recover(found []segment) (End, *Dropped, error) {
	newest := found[len(found)-1]
	at, size, rest := endOf(newest)
	l.size = size
	if at.seq == 0 && newest.first > 1 {
		// The crash was between a new file and its first line.
		if len(found) < 2 {
			return at, nil, fmt.Errorf("%s has no record, and there is no file before it", filepath.Base(newest.path))
		}
		var err error
		at, _, err = endOf(found[len(found)-2])
		if err != nil || at.seq != newest.first-1 {
			return at, nil, fmt.Errorf("%s does not end where the next file begins: %w", filepath.Base(found[len(found)-2].path), err)
		}
	}
	if rest == nil {
		return at, nil, nil
	}
	dropped, err := cutOff(newest.path, size, rest)
	return at, dropped, err
}

// cutOff moves what is in a file after an offset into another beside it.
func cutOff(path string, offset int64, why error) (*Dropped, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	torn := text[offset:]
	if len(torn) > maxBatchBytes+2*MaxLine {
		return nil, fmt.Errorf("%s: %d bytes from %d on are not in order, more than a crash leaves: %w", filepath.Base(path), len(torn), offset, why)
	}
	beside, err := os.OpenFile(fmt.Sprintf("%s.%d.torn", path, offset), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = beside.Write(torn)
	if err := errors.Join(err, beside.Sync(), beside.Close(), syncDir(filepath.Dir(path))); err != nil {
		return nil, err
	}
	if err := os.Truncate(path, offset); err != nil {
		return nil, err
	}
	h := sha256.Sum256(torn)
	return &Dropped{Bytes: int64(len(torn)), SHA256: hex.EncodeToString(h[:])}, nil
}
