package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// FileCopy keeps checkpoints of a chain that is elsewhere in a file, as JSON objects one a
// line. It grows by about 300 bytes with each. It may be used by any number of goroutines at
// once, and by one process.
type FileCopy struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of what is complete
}

var _ CheckpointCopy = (*FileCopy)(nil)

// OpenFileCopy opens the file, or makes it and its directory. What is in it stays, but for a
// line that a crash has left incomplete.
func OpenFileCopy(path string) (*FileCopy, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	f := &FileCopy{file: file}
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if err == nil {
			f.size += int64(len(line))
			continue
		}
		if errors.Is(err, io.EOF) {
			err = errors.Join(file.Truncate(f.size), syncDir(filepath.Dir(path)))
		}
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return f, nil
	}
}

// PutCheckpoint implements CheckpointCopy: it returns when the checkpoint is on disk.
func (f *FileCopy) PutCheckpoint(_ context.Context, c Checkpoint) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text = append(text, '\n')
	_, err = f.file.Write(text)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return errors.Join(err, f.file.Truncate(f.size))
	}
	f.size += int64(len(text))
	return nil
}

// Close closes the file.
func (f *FileCopy) Close() error { return f.file.Close() }

// tableCopyExt ends the names of files with copies of checkpoints of tables.
const tableCopyExt = ".table-checkpoints"

// TableCopy returns where a writer has the copies of the checkpoints of its table: among its
// files.
func TableCopy(dir, writer string) string { return filepath.Join(dir, writer+tableCopyExt) }

// ReadTableCopies reads the files of TableCopy of all writers in a directory.
func ReadTableCopies(dir string) ([]Checkpoint, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Checkpoint
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), tableCopyExt) {
			continue
		}
		more, err := ReadCheckpoints(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// ReadCheckpoints reads JSON objects, one a line. Empty lines are passed over, and so is an
// incomplete one at the end, as a crash leaves it.
func ReadCheckpoints(path string) ([]Checkpoint, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []Checkpoint
	reader := bufio.NewReader(file)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var c Checkpoint
			err := json.Unmarshal(line, &c)
			switch {
			case err == nil && c.Writer != "":
				all = append(all, c)
			case !last:
				return nil, fmt.Errorf("line %d of %s is not a checkpoint", number, path)
			}
		}
		if last {
			return all, nil
		}
	}
}
