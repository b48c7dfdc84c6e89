package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// exportSource is an export of pins: one pin as JSON on each line, plain or
// packed by gzip or zstd.
type exportSource struct {
	path string // empty for stdin
	info fs.FileInfo

	stdin io.Reader
	used  bool // stdin was read
}

func openExport(name string, stdin io.Reader) (Source, error) {
	if name == "-" {
		if stdin == nil {
			return nil, errors.New("there is no standard input here: use export:FILE")
		}
		return &exportSource{stdin: stdin}, nil
	}
	path, err := realPath(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no such file")
	}
	if err != nil {
		return nil, fmt.Errorf("finding the file: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the export: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the export: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("it is a folder: use export:FILE with a file that `state export` has written, or crdt:%s or raft:%s for the folder of a peer", path, path)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no ordinary file: use export:- and pass it as standard input")
	}
	return &exportSource{path: path, info: info}, nil
}

// ID is the same for everything that comes from standard input.
func (s *exportSource) ID() string {
	if s.path == "" {
		return "export:-"
	}
	return "export:" + s.path
}

func (s *exportSource) Fingerprint() string {
	if s.path == "" {
		return ""
	}
	return fmt.Sprintf("size %d time %d", s.info.Size(), s.info.ModTime().UnixNano())
}

func (s *exportSource) Warnings() []string { return nil }
func (s *exportSource) MayLack() bool      { return false }
func (s *exportSource) ReadOnce() bool     { return s.path == "" } // stdin
func (s *exportSource) Close() error       { return nil }

// Count counts the lines that are not blank. It does not look into them.
func (s *exportSource) Count(ctx context.Context, progress func(int64)) (int64, error) {
	if s.path == "" {
		return -1, nil
	}
	file, err := os.Open(s.path)
	if err != nil {
		return 0, fmt.Errorf("counting the lines of an export: %w", err)
	}
	defer file.Close()
	in, err := unpack(file)
	if err != nil {
		return 0, err
	}
	defer in.close()
	l := &lines{in: in.Reader}
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		_, _, err := l.next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, in.explain(err)
		}
		if n++; n%progressEvery == 0 {
			progress(n)
		}
	}
}

func (s *exportSource) Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	if s.path == "" {
		return s.readStdin(ctx, from, f, bad)
	}
	file, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("reading an export: %w", err)
	}
	defer file.Close()
	in, err := unpack(file)
	if err != nil {
		return err
	}
	defer in.close()
	if len(from.Key) == 0 {
		return in.read(ctx, &lines{in: in.Reader}, from, f, bad)
	}
	at, err := parseLinePosition(from.Key)
	if err != nil {
		return err
	}
	if in.packed {
		l := &lines{in: in.Reader}
		for l.number < at.number {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, _, err := l.any(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return in.explain(err)
			}
		}
		return in.read(ctx, l, from, f, bad)
	}
	if _, err := file.Seek(at.end, io.SeekStart); err != nil {
		return fmt.Errorf("reading an export: %w", err)
	}
	in.Reset(file)
	return in.read(ctx, &lines{in: in.Reader, number: at.number, end: at.end}, from, f, bad)
}

func (s *exportSource) readStdin(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error {
	if s.used {
		return fmt.Errorf("the standard input has been read already: %w. Use export:FILE to read an export more than once, or to compare it afterwards", ErrReadOnce)
	}
	if from.Records > 0 || len(from.Key) > 0 {
		return errors.New("the standard input can be read only from its beginning: use export:FILE to go on in the middle")
	}
	s.used = true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := unpack(readUnder(ctx, s.stdin))
	if err != nil {
		return err
	}
	defer in.close()
	return in.read(ctx, &lines{in: in.Reader}, from, f, bad)
}

// read reads the pins behind a position.
func (u *unpacked) read(ctx context.Context, l *lines, from Position, f func(Record) error, bad func(Bad) error) error {
	if from.Records == 0 {
		if err := u.check(); err != nil {
			return err
		}
	}
	var ended error
	keep := func(err error) error {
		ended = err
		return err
	}
	err := readPins(l, from.Records, func() []byte { return linePosition{l.number, l.end}.key() },
		func(r Record) error { return keep(first(ctx.Err(), f(r))) },
		func(b Bad) error { return keep(first(ctx.Err(), bad(b))) })
	if ended != nil {
		return ended
	}
	return u.explain(err)
}

// check looks at the beginning of a text that is not a pin on each line. It waits for
// no more than its first block.
func (u *unpacked) check() error {
	_, _ = u.Peek(1) // an error comes again when the first line is read
	begin, _ := u.Peek(u.Buffered())
	begin = bytes.TrimLeft(begin, " \t\r\n")
	line, _, more := bytes.Cut(begin, []byte("\n"))
	switch {
	case len(begin) == 0:
		return nil // it is empty, or blank for long
	case begin[0] == '[':
		return errors.New("it is a list in JSON, not a pin on each line: pass it through `jq -c '.[]'` first")
	case begin[0] != '{':
		return errors.New("it is no export of pins: each line must be a pin as JSON, as `ipfs-cluster-service state export` writes it")
	case more && string(bytes.TrimSpace(line)) == "{":
		return errors.New("its pins are spread over many lines: pass it through `jq -c .` first")
	}
	return nil
}

// linePosition is a place between two lines.
type linePosition struct {
	number int64 // of the line before it
	end    int64 // its offset in what the lines are read from
}

func (p linePosition) key() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(p.number)), uint64(p.end))
}

func parseLinePosition(key []byte) (linePosition, error) {
	number, n := binary.Uvarint(key)
	if n > 0 {
		if end, m := binary.Uvarint(key[n:]); m > 0 && n+m == len(key) && int64(number) >= 0 && int64(end) >= 0 {
			return linePosition{int64(number), int64(end)}, nil
		}
	}
	return linePosition{}, fmt.Errorf("%x is no position in an export", key)
}

// bufferSize is how much of a file is read at once.
const bufferSize = 256 << 10
