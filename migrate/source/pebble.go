package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleEngine reads pebble. It replays in memory what the peer has not flushed,
// so that it does not matter how the peer has ended.
type pebbleEngine struct {
	opened
	db *pebble.DB
}

func openPebble(folder string, _ []byte) (engine, error) {
	lock, err := shareFile(filepath.Join(folder, "LOCK"))
	if err != nil {
		return nil, err
	}
	shadow, owned, err := ownShadow(lock, folder, func(name string, _ fs.FileInfo) linkMode {
		if name == "LOCK" {
			return leftOut
		}
		return linked
	})
	if err != nil {
		return nil, err
	}
	var db *pebble.DB
	var closed bool
	err = guarded(func() (err error) {
		flushed, err := readPebbleManifest(shadow)
		if err != nil {
			return err
		}
		if closed, err = checkPebbleLogs(shadow, flushed); err != nil {
			return err
		}
		db, err = pebble.Open(shadow, &pebble.Options{
			ReadOnly:         true,
			ErrorIfNotExists: true,
			CacheSize:        8 << 20,
			MaxOpenFiles:     256,
			Logger:           &complaints{},
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(damaged(err), owned.Close())
	}
	e := &pebbleEngine{opened: opened{shut: db.Close, owned: owned}, db: db}
	if !closed {
		e.doubt = "the datastore was not closed. That is usual when the peer was killed; otherwise the end of its log, and pins with it, may be missing. To be sure, start the peer once and stop it again"
	}
	if err := guarded(func() error { return e.lookAtTables(shadow) }); err != nil {
		return nil, errors.Join(damaged(err), e.close())
	}
	return e, nil
}

// lookAtTables warns of tables that the database does not have. A peer that was killed
// leaves such tables behind, replaced ones or one that it was writing, whose pins are
// in its log as well.
func (e *pebbleEngine) lookAtTables(folder string) error {
	levels, err := e.db.SSTables()
	if err != nil {
		return err
	}
	known := make(map[uint64]bool)
	for _, tables := range levels {
		for _, t := range tables {
			known[uint64(t.BackingSSTNum)] = true
		}
	}
	name, err := unknownTable(folder, known)
	if name != "" {
		e.doubt = fmt.Sprintf("the datastore was not closed: its manifest does not know the table %s. That is usual when the peer was killed; otherwise its files are damaged and pins may be missing. To be sure, start the peer once and stop it again", name)
	}
	return err
}

func (e *pebbleEngine) iterate(ctx context.Context, prefix, start []byte, f visit) error {
	var ended error
	err := guarded(func() (err error) {
		it, err := e.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: later(prefix, start), UpperBound: after(prefix)})
		if err != nil {
			return &damage{err}
		}
		defer func() {
			// It returns what Error has returned, once more.
			if closeErr := it.Close(); err == nil && closeErr != nil {
				err = &damage{closeErr}
			}
		}()
		value := func() ([]byte, error) {
			v, err := it.ValueAndErr()
			if err != nil {
				return nil, &damage{err}
			}
			return append([]byte{}, v...), nil
		}
		for ok := it.First(); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if ended = f(it.Key(), value); ended != nil {
				return nil
			}
		}
		if err := it.Error(); err != nil {
			return &damage{err}
		}
		return nil
	})
	return first(ended, err)
}

// later returns the later one of two keys.
func later(a, b []byte) []byte {
	if string(a) < string(b) {
		return b
	}
	return a
}

// after returns the least key that is behind all keys with a prefix, or nil if
// there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return append(append([]byte{}, prefix[:i]...), prefix[i]+1)
		}
	}
	return nil
}

// first returns the first error that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
