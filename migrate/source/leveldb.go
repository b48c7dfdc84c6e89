package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// levelEngine reads leveldb. It replays the journal in memory. A journal that
// ends inside an entry is refused: leveldb would go on without the rest, and
// could not tell whether it is the last one that was written.
type levelEngine struct {
	opened
	db *leveldb.DB
}

func openLevelDB(folder string, _ []byte) (engine, error) {
	lock, err := shareFlock(filepath.Join(folder, "LOCK"))
	if err != nil {
		return nil, err
	}
	shadow, owned, err := ownShadow(lock, folder, func(name string, _ fs.FileInfo) linkMode {
		if name == "LOCK" || name == "LOG" || name == "LOG.old" {
			return leftOut
		}
		return linked
	})
	if err != nil {
		return nil, err
	}
	var db *leveldb.DB
	err = guarded(func() (err error) {
		db, err = leveldb.OpenFile(shadow, &opt.Options{
			ReadOnly:               true,
			ErrorIfMissing:         true,
			Strict:                 opt.StrictAll,
			OpenFilesCacheCapacity: 256,
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(&damage{err}, owned.Close())
	}
	return &levelEngine{opened: opened{shut: db.Close, owned: owned}, db: db}, nil
}

func (e *levelEngine) iterate(ctx context.Context, prefix, start []byte, f visit) error {
	var ended error
	err := guarded(func() error {
		it := e.db.NewIterator(&util.Range{Start: later(prefix, start), Limit: after(prefix)}, &opt.ReadOptions{DontFillCache: true})
		defer it.Release()
		value := func() ([]byte, error) { return bytes.Clone(it.Value()), nil }
		for it.Next() {
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
