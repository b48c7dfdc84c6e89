package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// setLock locks a file for who has opened it. The lock keeps all others out, in
// this process as well, and ends with that file.
const setLock = unix.F_OFD_SETLK

// lockShadow locks a new folder as long as it is open. It fails with errInUse when that
// was just removed by removeShadows.
func lockShadow(path string) (*os.File, error) {
	f, err := openLocked(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errInUse
	}
	if err != nil {
		return nil, err
	}
	locked, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, locked) {
		return nil, errors.Join(errInUse, f.Close())
	}
	return f, nil
}

// removeShadows removes the folders of this user that a process has left behind: the
// lock of each ends with its process. What cannot be removed stays, as it is in nobody's
// way.
func removeShadows(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), shadowName) {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		var info unix.Stat_t
		if unix.Lstat(path, &info) != nil || info.Uid != uint32(os.Getuid()) {
			continue
		}
		if f, err := openLocked(path); err == nil {
			_ = os.RemoveAll(path)
			_ = f.Close()
		}
	}
}

func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
