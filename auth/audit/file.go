package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// FileOptions are the options of a File.
type FileOptions struct {
	// Dir is the directory, for any number of writers.
	Dir string
	// Writer is the name of this one: a-z, 0-9 and -. A process that starts again goes on
	// with its own. No two processes have the same at a time.
	Writer string
	// Key signs checkpoints.
	Key ed25519.PrivateKey
	// Every is after how many records there is a checkpoint. Zero means 1000.
	Every int
	// Age is how long a record is without a checkpoint after it. Zero means a minute.
	Age time.Duration
	// MaxBytes is after how many bytes a new file begins. Zero means 64 MiB.
	MaxBytes int64
	// Copies are given the checkpoints. Without any, nobody notices that a chain was cut.
	Copies []CheckpointCopy
	// CheckpointFailed is told when a checkpoint could not be written, or when a copy did
	// not take it. The next one stands for it, too. It may be nil.
	CheckpointFailed func(error)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time

	open func(path string) (output, error) // nil means openOutput
}

// The bounds of what is written, and made durable, at once.
const (
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
	copyTimeout   = 10 * time.Second
)

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

// File is the sink that appends to files. All that wait at the same moment are written
// and made durable together.
type File struct {
	options  FileOptions
	lock     *os.File
	requests chan request
	stop     chan struct{}
	stopOnce sync.Once
	stopped  chan struct{} // closed by the goroutine that writes
	newest   chan Checkpoint
	copied   chan struct{} // closed by the goroutine that copies

	// Of the goroutine that writes.
	out      output
	at       end
	unsealed int  // records since the last checkpoint
	broken   bool // there may be something after at.offset
	closeErr error
}

var _ Sink = (*File)(nil)

type request struct {
	record Record
	result chan<- error // has room
}

// OpenFile opens the files of a writer, or begins them, and records that it started. What
// a crash left at the end is moved beside, into a file that ends in .torn. It fails if
// another process has the writer, or if more is not in order than a crash explains.
func OpenFile(o FileOptions) (*File, error) {
	if err := checkWriter(o.Writer); err != nil {
		return nil, err
	}
	if len(o.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("there is no key for checkpoints")
	}
	setFileDefaults(&o)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	f := &File{
		options: o, requests: make(chan request, maxBatch),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		newest: make(chan Checkpoint, 1), copied: make(chan struct{}),
	}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.begin(); err != nil {
		if f.out != nil {
			err = errors.Join(err, f.out.Close())
		}
		return nil, errors.Join(fmt.Errorf("the audit files of %s: %w", o.Writer, err), f.lock.Close())
	}
	go f.write()
	go f.copy()
	return f, nil
}

func setFileDefaults(o *FileOptions) {
	if o.Every == 0 {
		o.Every = 1000
	}
	if o.Age == 0 {
		o.Age = time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.CheckpointFailed == nil {
		o.CheckpointFailed = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.open == nil {
		o.open = openOutput
	}
}

// takeLock keeps other processes from the writer, until this one ends in any way.
func (f *File) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(f.options.Dir, f.options.Writer+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a descriptor fits
		return errors.Join(fmt.Errorf("another process writes audit records as %s: %w", f.options.Writer, err), lock.Close())
	}
	f.lock = lock
	return nil
}

// Append implements Sink.
func (f *File) Append(ctx context.Context, r Record) error {
	result := make(chan error, 1)
	select {
	case <-f.stop:
		return errClosed
	default:
	}
	select {
	case f.requests <- request{r, result}:
	case <-f.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-f.stopped:
		select {
		case err := <-result:
			return err
		default:
			return errClosed
		}
	}
}

var errClosed = errors.New("the audit file is closed")

// Close writes and copies a last checkpoint and closes the files.
func (f *File) Close() error {
	f.stopOnce.Do(func() { close(f.stop) })
	<-f.stopped
	<-f.copied
	return f.closeErr
}

// write is the goroutine that writes.
func (f *File) write() {
	defer close(f.stopped)
	ticker := time.NewTicker(f.options.Age)
	defer ticker.Stop()
	for {
		select {
		case first := <-f.requests:
			f.commit(f.collect(first))
		case <-ticker.C:
			if err := f.checkpoint(); err != nil {
				f.options.CheckpointFailed(fmt.Errorf("a checkpoint: %w", err))
			}
		case <-f.stop:
			f.finish()
			return
		}
	}
}

// finish writes what waits and the last checkpoint.
func (f *File) finish() {
	for {
		select {
		case first := <-f.requests:
			f.commit(f.collect(first))
			continue
		default:
		}
		break
	}
	err := f.checkpoint()
	close(f.newest)
	f.closeErr = errors.Join(err, f.out.Close(), f.lock.Close())
}

// collect takes what waits.
func (f *File) collect(first request) []request {
	batch := []request{first}
	for len(batch) < maxBatch {
		select {
		case next := <-f.requests:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// copy is the goroutine that gives checkpoints to the copies.
func (f *File) copy() {
	defer close(f.copied)
	for c := range f.newest {
		for _, to := range f.options.Copies {
			ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
			err := to.PutCheckpoint(ctx, c)
			cancel()
			if err != nil {
				f.options.CheckpointFailed(fmt.Errorf("a copy of the checkpoint of %s at %d: %w", c.Writer, c.Seq, err))
			}
		}
	}
}

// sealed hands a checkpoint to copy, in place of one that still waits.
func (f *File) sealed(c Checkpoint) {
	select {
	case <-f.newest:
	default:
	}
	f.newest <- c
}
