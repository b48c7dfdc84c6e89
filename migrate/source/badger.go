package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger"
	"github.com/dgraph-io/badger/options"
)

// badgerEngine reads badger, version 1. This one does not open, to read only,
// what its peer has not closed: it would have to write into the value log.
type badgerEngine struct {
	opened
	db  *badger.DB
	log *complaints
}

func openBadger(folder string, _ []byte) (engine, error) {
	lock, err := shareFlock(folder)
	if err != nil {
		return nil, err
	}
	logs := false
	shadow, owned, err := ownShadow(lock, folder, func(name string, _ fs.FileInfo) linkMode {
		if name == "LOCK" {
			return leftOut
		}
		logs = logs || isLog(name)
		return linked
	})
	if err != nil {
		return nil, err
	}
	if !logs {
		return nil, errors.Join(&damage{errors.New("it has no value log")}, owned.Close())
	}
	e := &badgerEngine{opened: opened{owned: owned}, log: &complaints{}}
	err = guarded(func() (err error) {
		if err := checkBadgerManifest(filepath.Join(shadow, badger.ManifestFilename), badgerVersion); err != nil {
			return err
		}
		if err := checkBadgerTables(shadow); err != nil {
			return err
		}
		o := badger.DefaultOptions(shadow)
		o.ReadOnly = true
		o.BypassLockGuard = true // of the shadow, which nobody else has
		o.Logger = e.log
		o.EventLogging = false
		o.TableLoadingMode = options.MemoryMap
		o.ValueLogLoadingMode = options.FileIO
		o.VerifyValueChecksum = true
		e.db, err = badger.Open(o)
		return err
	})
	// Without a table that it has left out it may not know what to replay.
	if complaint := e.log.err(); err != nil && complaint != nil {
		return nil, errors.Join(complaint, owned.Close())
	}
	if isUnclean(err) {
		return nil, errors.Join(&unclean{err}, owned.Close())
	}
	if err != nil {
		return nil, errors.Join(damaged(err), owned.Close())
	}
	e.shut = e.db.Close
	if err := e.log.err(); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// isUnclean knows two errors of badger, which it does not wrap.
func isUnclean(err error) bool {
	return err != nil && (strings.Contains(err.Error(), badger.ErrReplayNeeded.Error()) ||
		strings.Contains(err.Error(), badger.ErrTruncateNeeded.Error()))
}

func (e *badgerEngine) iterate(ctx context.Context, prefix, start []byte, f visit) error {
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

// checkBadgerTables looks for tables that the manifest does not have. Badger removes
// them when it is opened.
func checkBadgerTables(folder string) error {
	file, err := os.Open(filepath.Join(folder, badger.ManifestFilename))
	if err != nil {
		return err
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file)
	if err != nil {
		return err
	}
	known := make(map[uint64]bool)
	for id := range manifest.Tables {
		known[id] = true
	}
	return knowsTables(folder, known)
}
