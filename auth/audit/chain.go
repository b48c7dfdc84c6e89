package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ChainOptions are the options of a Chain.
type ChainOptions struct {
	// Writer is the name of this one: a-z, 0-9 and -. A process that starts again goes on
	// with its own. No two processes have the same at a time.
	Writer string
	// Key signs checkpoints.
	Key ed25519.PrivateKey
	// Every is after how many records there is a checkpoint. Zero means 1000.
	Every int
	// Age is how long a record is without a checkpoint after it. Zero means a minute.
	Age time.Duration
	// MaxBytes is after how many bytes no more records are written at once. Zero means 4 MiB.
	MaxBytes int
	// Copies are given the checkpoints. Without any, nobody notices that a chain was cut.
	Copies []CheckpointCopy
	// CheckpointFailed is told when a checkpoint could not be written, or when a copy did
	// not take it. The next one stands for it, too. It may be nil.
	CheckpointFailed func(error)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Check returns an error for options that no chain can have.
func (o ChainOptions) Check() error {
	if err := checkWriter(o.Writer); err != nil {
		return err
	}
	if len(o.Key) != ed25519.PrivateKeySize {
		return errors.New("there is no key for checkpoints")
	}
	return nil
}

func (o *ChainOptions) setDefaults() {
	if o.Every == 0 {
		o.Every = 1000
	}
	if o.Age == 0 {
		o.Age = time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = maxBatchBytes
	}
	if o.CheckpointFailed == nil {
		o.CheckpointFailed = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// The bounds of what is written, and made durable, at once.
const (
	maxBatch      = 1024
	maxBatchBytes = 4 << 20
)

// Log is where the lines of one chain are kept. One goroutine at a time uses it.
type Log interface {
	// Full tells that what is written next begins a new piece of the log. That is a
	// checkpoint then, by which the piece's beginning is known when those before it have been
	// moved to an archive.
	Full() bool
	// Write returns when lines are durable, each with its end; first is the number of the
	// first record. After an error none of them is there, or is left there by the next write;
	// but if the error wraps ErrOpen, all of them may be there, or may come to be.
	Write(text []byte, first int64) error
	// Close gives up what the log holds.
	Close() error
}

// ErrOpen is that it is not known whether lines were written. A Chain then writes the same
// lines again before any others.
var ErrOpen = errors.New("it is not known whether the records were written")

// Chain is a Sink that gives records their place in the chain of a writer, and signs
// checkpoints. All records that wait at the same moment are written together.
type Chain struct {
	options  ChainOptions
	log      Log
	requests chan request
	stop     chan struct{}
	stopOnce sync.Once
	stopped  chan struct{} // closed by the goroutine that writes
	newest   chan Checkpoint
	copied   chan struct{} // closed by the goroutine that copies

	// Of the goroutine that writes.
	at       End
	unsealed int    // records since the last checkpoint
	open     *lines // may have been written
	closeErr error
}

var _ Sink = (*Chain)(nil)

type request struct {
	record Record
	result chan<- error // has room
}

// StartChain goes on with the chain of a log at its end, and records that the writer has
// started, and what was cut off then, if that is not nil. The log is the chain's, unless
// there is an error.
func StartChain(o ChainOptions, log Log, at End, dropped *Dropped) (*Chain, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.setDefaults()
	c := &Chain{
		options: o, log: log, at: at, requests: make(chan request, maxBatch),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		newest: make(chan Checkpoint, 1), copied: make(chan struct{}),
	}
	result := make(chan error, 1)
	_ = c.commit([]request{{Record{Kind: Started, Dropped: dropped}, result}}) // the result has the error
	if err := <-result; err != nil {
		return nil, err
	}
	go c.write()
	go c.copy()
	return c, nil
}

// Append implements Sink.
func (c *Chain) Append(ctx context.Context, r Record) error {
	result := make(chan error, 1)
	select {
	case <-c.stop:
		return errClosed
	default:
	}
	select {
	case c.requests <- request{r, result}:
	case <-c.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		select {
		case err := <-result:
			return err
		default:
			return errClosed
		}
	}
}

var errClosed = errors.New("the audit records are closed")

// Close writes and copies a last checkpoint and closes the log.
func (c *Chain) Close() error {
	c.stopOnce.Do(func() { close(c.stop) })
	<-c.stopped
	<-c.copied
	return c.closeErr
}

// write is the goroutine that writes.
func (c *Chain) write() {
	defer close(c.stopped)
	ticker := time.NewTicker(c.options.Age)
	defer ticker.Stop()
	for {
		select {
		case first := <-c.requests:
			_ = c.commit(c.collect(first)) // who waits for it has the error
		case <-ticker.C:
			if err := c.checkpoint(); err != nil {
				c.options.CheckpointFailed(fmt.Errorf("a checkpoint: %w", err))
			}
		case <-c.stop:
			c.finish()
			return
		}
	}
}

// finish writes what waits and the last checkpoint. After an error it tries nothing more: a
// log that does not answer would be waited for again and again.
func (c *Chain) finish() {
	var err error
	for {
		select {
		case first := <-c.requests:
			batch := c.collect(first)
			if err == nil {
				err = c.commit(batch)
			} else {
				answer(batch, err)
			}
			continue
		default:
		}
		break
	}
	if err == nil {
		err = c.checkpoint()
	}
	close(c.newest)
	c.closeErr = errors.Join(err, c.log.Close())
}

// collect takes what waits.
func (c *Chain) collect(first request) []request {
	batch := []request{first}
	for len(batch) < maxBatch {
		select {
		case next := <-c.requests:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}
