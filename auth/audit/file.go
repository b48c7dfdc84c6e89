package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// FileOptions are the options of a File.
type FileOptions struct {
	// Dir is the directory, for any number of writers.
	Dir string
	// MaxBytes is after how many bytes a new file begins. Zero means 64 MiB.
	MaxBytes int64
	// The others are those of ChainOptions.
	Writer           string
	Key              ed25519.PrivateKey
	Every            int
	Age              time.Duration
	Copies           []CheckpointCopy
	CheckpointFailed func(error)
	Now              func() time.Time

	open func(path string) (output, error) // nil means openOutput
}

func (o *FileOptions) chain() ChainOptions {
	return ChainOptions{
		Writer: o.Writer, Key: o.Key, Every: o.Every, Age: o.Age,
		Copies: o.Copies, CheckpointFailed: o.CheckpointFailed, Now: o.Now,
	}
}

// output is an open file.
type output interface {
	Write(p []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// openOutput opens a file to append to it.
func openOutput(path string) (output, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// File is a Chain in files.
type File struct{ *Chain }

var _ Sink = (*File)(nil)

// OpenFile opens the files of a writer, or begins them, and records that it started. What
// a crash left at the end is moved beside, into a file that ends in .torn. It fails if
// another process has the writer, or if more is not in order than a crash explains.
func OpenFile(o FileOptions) (*File, error) {
	if err := o.chain().Check(); err != nil {
		return nil, err
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.open == nil {
		o.open = openOutput
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	log := &fileLog{dir: o.Dir, writer: o.Writer, maxBytes: o.MaxBytes, open: o.open}
	if err := log.takeLock(); err != nil {
		return nil, err
	}
	at, dropped, err := log.begin()
	var chain *Chain
	if err == nil {
		chain, err = StartChain(o.chain(), log, at, dropped)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the audit files of %s: %w", o.Writer, err), log.Close())
	}
	return &File{chain}, nil
}

// fileLog is a Log in files of JSON lines.
type fileLog struct {
	dir, writer string
	maxBytes    int64
	open        func(path string) (output, error)

	lock   *os.File
	out    output
	size   int64 // of what is good
	broken bool  // there may be something after size
}

var _ Log = (*fileLog)(nil)

// takeLock keeps other processes from the writer, until this one ends in any way.
func (l *fileLog) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(l.dir, l.writer+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a descriptor fits
		return errors.Join(fmt.Errorf("another process writes audit records as %s: %w", l.writer, err), lock.Close())
	}
	l.lock = lock
	return nil
}

// Close implements Log.
func (l *fileLog) Close() error {
	var err error
	if l.out != nil {
		err = l.out.Close()
	}
	return errors.Join(err, l.lock.Close())
}

// Full implements Log.
func (l *fileLog) Full() bool { return l.size >= l.maxBytes }

// Write implements Log.
func (l *fileLog) Write(text []byte, first int64) error {
	if l.broken {
		if err := errors.Join(l.out.Truncate(l.size), l.out.Sync()); err != nil {
			return fmt.Errorf("after a write that failed: %w", err)
		}
		l.broken = false
	}
	if l.Full() {
		return l.rotate(text, first)
	}
	l.broken = true
	if _, err := l.out.Write(text); err != nil {
		return err
	}
	if err := l.out.Sync(); err != nil {
		return err
	}
	l.size, l.broken = l.size+int64(len(text)), false
	return nil
}

// rotate begins a new file.
func (l *fileLog) rotate(text []byte, first int64) error {
	path := segmentPath(l.dir, l.writer, first)
	next, err := l.open(path)
	if err != nil {
		return err
	}
	err = next.Truncate(0) // of an attempt that failed
	if err == nil {
		_, err = next.Write(text)
	}
	if err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		return errors.Join(err, next.Close(), os.Remove(path))
	}
	old := l.out
	l.out, l.size = next, int64(len(text))
	// All of it is durable: that it cannot be closed changes nothing for the records.
	_ = old.Close()
	return nil
}

// syncDir makes names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
