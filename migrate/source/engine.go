package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
)

// engine is a key-value store of a peer, open for reading.
type engine interface {
	// iterate calls f for each key that begins with prefix, in the order of the
	// keys, from start on if it is not empty, until f returns an error. Key is
	// valid until f returns; value, which can be called in f only, returns
	// bytes that belong to the caller. Errors of the engine are damage.
	iterate(ctx context.Context, prefix, start []byte, f visit) error
	// warning is what the user should know of the files, or empty.
	warning() string
	// close releases the engine and removes what was made to open it.
	close() error
}

// opened is what every engine has once it is open.
type opened struct {
	shut  func() error // closes the database
	owned io.Closer    // the lock and the shadow
	doubt string
}

func (o *opened) warning() string { return o.doubt }

func (o *opened) close() error { return errors.Join(guarded(o.shut), o.owned.Close()) }

type visit func(key []byte, value func() ([]byte, error)) error

// damage says that an engine could not read its own files.
type damage struct{ err error }

func (d *damage) Error() string { return firstLine(d.err) }
func (d *damage) Unwrap() error { return d.err }

// unclean says that the peer has not closed its files, and that its engine cannot
// read them without repairing them first.
type unclean struct{ err error }

func (u *unclean) Error() string { return firstLine(u.err) }
func (u *unclean) Unwrap() error { return u.err }

// damaged makes an error one of damage, unless it is known what it is.
func damaged(err error) error {
	if errors.As(err, new(*unclean)) || errors.As(err, new(*damage)) || errors.As(err, new(*newer)) {
		return err
	}
	return &damage{err}
}

// firstLine is what an engine says of an error. It adds stacks and checksums.
func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}

// guarded runs what calls an engine. Engines panic over files that are damaged;
// with a part of a mapped file missing it is the system that stops them.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			why, ok := r.(error)
			if !ok {
				why = fmt.Errorf("%v", r)
			}
			err = &damage{fmt.Errorf("the engine gave up: %w", why)}
		}
	}()
	return f()
}

// complaints is the logger of an engine. It keeps the first error that the
// engine writes there: badger leaves out a table that is damaged, and takes a
// value that it cannot read for an empty one, and says so nowhere else.
type complaints struct {
	mu    sync.Mutex
	first error
}

func (c *complaints) Errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = errors.New(strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (*complaints) Warningf(string, ...any) {}
func (*complaints) Infof(string, ...any)    {}
func (*complaints) Debugf(string, ...any)   {}

// Fatalf is for pebble, which goes on if it returns. The read after it fails.
func (c *complaints) Fatalf(format string, args ...any) { c.Errorf(format, args...) }

// err returns the first error as damage, if there was any.
func (c *complaints) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		return nil
	}
	return &damage{c.first}
}

// closers are closed one after another, the last first.
type closers []io.Closer

func (c closers) Close() error {
	var err error
	for i := len(c) - 1; i >= 0; i-- {
		err = errors.Join(err, c[i].Close())
	}
	return err
}

// closeFunc is a function that closes something.
type closeFunc func() error

func (f closeFunc) Close() error { return f() }
