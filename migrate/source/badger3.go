package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	badger "github.com/dgraph-io/badger/v3"
	"github.com/dgraph-io/badger/v3/options"
)

// badger3Engine reads badger, version 3. Even if it is told to read only, this
// one makes a file for its statistics, sorts that of the peer, opens the value
// log for writing (and does not write), and deletes files that it finds empty.
// All of that happens in the shadow.
type badger3Engine struct {
	db    *badger.DB
	log   *complaints
	owned io.Closer
}

func openBadger3(folder string, config []byte) (engine, error) {
	lock, err := shareFlock(folder)
	if err != nil {
		return nil, err
	}
	var memory []string // names of logs of what is not flushed
	shadow, err := newShadow(folder, func(name string, info fs.FileInfo) linkMode {
		switch {
		case name == "LOCK" || name == "DISCARD":
			return leftOut
		case strings.HasSuffix(name, ".mem"):
			memory = append(memory, name)
			return leftOut
		case isLog(name) && info.Size() == 0:
			return leftOut
		case isLog(name) && info.Size() <= logHeader:
			return copied // it would be deleted, and cut first
		default:
			return linked
		}
	})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	e := &badger3Engine{log: &complaints{}, owned: closers{lock, closeFunc(shadow.remove)}}
	largest, err := copyMemory(folder, shadow.path, memory)
	if err != nil {
		return nil, errors.Join(err, e.owned.Close())
	}
	size, err := memTableSize(config, largest)
	if err != nil {
		return nil, errors.Join(err, e.owned.Close())
	}
	err = guarded(func() (err error) {
		if err := checkBadgerManifest(filepath.Join(shadow.path, badger.ManifestFilename)); err != nil {
			return err
		}
		if err := checkBadger3Tables(shadow.path); err != nil {
			return err
		}
		e.db, err = badger.Open(e.options(shadow.path, size))
		return err
	})
	if err != nil {
		return nil, errors.Join(damaged(err), e.owned.Close())
	}
	if err := e.log.err(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// options for a database that is read once. Tables were checked as a whole before: an
// iterator that meets a damaged block just ends.
func (e *badger3Engine) options(path string, memTable int64) badger.Options {
	o := badger.DefaultOptions(path)
	o.ReadOnly = true
	o.BypassLockGuard = true // of the shadow, which nobody else has
	o.Logger = e.log
	o.MetricsEnabled = false
	o.Compression = options.None // tables say themselves how they are compressed
	o.BlockCacheSize = 16 << 20
	o.IndexCacheSize = 64 << 20
	o.MemTableSize = memTable
	o.DetectConflicts = false
	o.ChecksumVerificationMode = options.NoVerification
	o.VerifyValueChecksum = true
	return o
}

// copyMemory copies the logs of what is not flushed, each without the zeros
// behind its last entry, and returns the size of the largest.
func copyMemory(from, to string, logs []string) (int64, error) {
	var largest int64
	for _, name := range logs {
		size, err := copyLog(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil {
			return 0, fmt.Errorf("copying %s: %w", name, err)
		}
		largest = max(largest, size)
	}
	return largest, nil
}

// copyLog copies the part of a log that is whole. An empty one is not copied.
func copyLog(from, to string) (int64, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	size, err := wholeLog(in)
	if err != nil || size <= logHeader {
		return 0, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = io.CopyN(out, in, size)
	return size, errors.Join(err, out.Close())
}

// memTableSize returns a size with which each of the logs fits into a table in
// memory: that which the peer uses, or more.
func memTableSize(config []byte, largest int64) (int64, error) {
	var section3 struct {
		Options struct {
			Size int64 `json:"mem_table_size"`
		} `json:"badger_options"`
	}
	if err := section(config, "datastore.badger3", &section3); err != nil {
		return 0, err
	}
	const least, most = 64 << 20, 1<<30 - 1
	return min(max(least, section3.Options.Size, 2*largest), most), nil
}

func (e *badger3Engine) iterate(ctx context.Context, prefix, start []byte, f visit) error {
	var ended error
	err := guarded(func() error {
		txn := e.db.NewTransaction(false)
		defer txn.Discard()
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = prefix
		it := txn.NewIterator(o)
		defer it.Close()
		value := func() ([]byte, error) { return e.valueOf(it.Item()) }
		for it.Seek(later(prefix, start)); it.ValidForPrefix(prefix); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if ended = f(it.Item().Key(), value); ended != nil {
				return nil
			}
		}
		return e.log.err()
	})
	return first(ended, err)
}

func (e *badger3Engine) valueOf(item *badger.Item) ([]byte, error) {
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, &damage{err}
	}
	return v, e.log.err()
}

func (*badger3Engine) warning() string { return "" }

func (e *badger3Engine) close() error {
	return errors.Join(guarded(e.db.Close), e.owned.Close())
}
