package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	fslock "github.com/ipfs/go-fs-lock"
)

// lockFile is upstream's: its command and this one exclude each other.
const lockFile = "cluster.lock"

// lock makes sure that one process at a time works on the folder. The lock
// ends with Close, or with the process. The folder must exist.
func (cmd *command) lock() (io.Closer, error) {
	lock, err := fslock.Lock(cmd.folder, lockFile)
	if err == nil {
		return lock, nil
	}
	path := filepath.Join(cmd.folder, lockFile)
	if errors.As(err, new(fslock.LockedError)) {
		return nil, fmt.Errorf("obtaining execution lock: another %s runs on %s: stop it first, or use another folder with --config", programName, cmd.folder)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("obtaining execution lock: %s cannot be written: run %s as the user that owns the folder", path, programName)
	}
	return nil, fmt.Errorf("obtaining execution lock: %w", err)
}
