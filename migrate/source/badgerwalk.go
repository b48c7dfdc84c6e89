package source

import "context"

// badgerItem and badgerIterator are what both badgers have in common here: packages
// of their own, with types of their own.
type badgerItem interface {
	Key() []byte
	ValueCopy(dst []byte) ([]byte, error)
}

type badgerIterator[I badgerItem] interface {
	Seek(key []byte)
	ValidForPrefix(prefix []byte) bool
	Next()
	Item() I
}

// walkBadger is engine.iterate over an iterator. Ended is the error of f or of the
// context; the other one is of the engine.
func walkBadger[I badgerItem](ctx context.Context, it badgerIterator[I], log *complaints, prefix, start []byte, f visit) (ended, err error) {
	value := func() ([]byte, error) {
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			return nil, &damage{err}
		}
		return v, log.err()
	}
	for it.Seek(later(prefix, start)); it.ValidForPrefix(prefix); it.Next() {
		if err := ctx.Err(); err != nil {
			return err, nil
		}
		if err := f(it.Item().Key(), value); err != nil {
			return err, nil
		}
	}
	return nil, log.err()
}
