package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// errInUse says that somebody else has the lock of what is to be read.
var errInUse = errors.New("somebody else has locked it")

// noLock is the lock of what has none.
type noLock struct{}

func (noLock) Close() error { return nil }

// shareFile locks a file as go-fs-lock and pebble do, by fcntl, but shared and
// without creating, changing or removing it as they do. A file that is not there
// needs no lock: whoever uses the folder makes it first.
func shareFile(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.FcntlFlock(f.Fd(), setLock, &unix.Flock_t{Type: unix.F_RDLCK, Whence: io.SeekStart})
	return locked(f, err)
}

// shareFlock locks a file or a folder as badger, leveldb and bolt do, by flock,
// but shared. What is not there needs no lock.
func shareFlock(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{}, nil
	}
	if err != nil {
		return nil, err
	}
	return locked(f, unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB))
}

func locked(f *os.File, err error) (io.Closer, error) {
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return nil, errors.Join(errInUse, f.Close())
	default:
		return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
}
