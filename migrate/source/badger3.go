package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	badger "github.com/dgraph-io/badger/v3"
	"github.com/dgraph-io/badger/v3/options"
	"golang.org/x/sys/unix"
)

// badger3Engine reads badger, version 3. Even if it is told to read only, this
// one makes a file for its statistics, sorts that of the peer, opens the value
// log for writing (and does not write), and deletes files that it finds empty.
// All of that happens in the shadow.
type badger3Engine struct {
	opened
	db  *badger.DB
	log *complaints
}

func openBadger3(folder string, config []byte) (engine, error) {
	lock, err := shareFlock(folder)
	if err != nil {
		return nil, err
	}
	var memory []string // names of logs of what is not flushed
	shadow, owned, err := ownShadow(lock, folder, func(name string, info fs.FileInfo) linkMode {
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
		return nil, err
	}
	e := &badger3Engine{opened: opened{owned: owned}, log: &complaints{}}
	largest, err := copyMemory(folder, shadow, memory)
	if err != nil {
		return nil, errors.Join(err, e.owned.Close())
	}
	size, err := memTableSize(config, largest)
	if err != nil {
		return nil, errors.Join(err, e.owned.Close())
	}
	err = guarded(func() (err error) {
		if err := checkBadgerManifest(filepath.Join(shadow, badger.ManifestFilename), badger3Version); err != nil {
			return err
		}
		if err := checkBadger3Tables(shadow); err != nil {
			return err
		}
		e.db, err = badger.Open(e.options(shadow, size))
		return err
	})
	if saysAny(err, unix.EACCES, unix.EPERM, unix.EROFS) {
		err = fmt.Errorf("badger3 opens its log for writing, and writes nothing: it needs files that can be written to, or a copy of the folder: %w", err)
	}
	if err != nil {
		return nil, errors.Join(damaged(err), e.owned.Close())
	}
	e.shut = e.db.Close
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
	return size, copyFile(from, to, size)
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
		var err error
		ended, err = walkBadger(ctx, it, e.log, prefix, start, f)
		return err
	})
	return first(ended, err)
}
