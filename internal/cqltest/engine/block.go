package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// The ports that each node listens on.
const (
	cqlPort     = 9042
	storagePort = 7000
)

// lastBlock is the highest K of the blocks 127.0.K.1 to N.
const lastBlock = 254

// block is a range of loopback addresses and a data directory that belong to
// this process as long as it holds the lock.
type block struct {
	prefix string // of every address, as 127.0.0
	addrs  []string
	dir    string // exists and was empty when the block was reserved
	lock   *os.File
}

// reserveBlock takes the first block whose lock is free and whose ports are
// free at n addresses. It also removes the data of owners that are gone.
func reserveBlock(n int) (*block, error) {
	base := filepath.Join(os.TempDir(), fmt.Sprintf("ipfs-cluster-scylla-cql-%d", os.Getuid()))
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for server data: %w", err)
	}
	if err := removeStale(base); err != nil {
		return nil, err
	}
	for k := 0; k <= lastBlock; k++ {
		prefix := fmt.Sprintf("127.0.%d", k)
		lock, err := tryLock(filepath.Join(base, prefix+".lock"))
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b := &block{prefix: prefix, dir: filepath.Join(base, prefix), lock: lock}
		for i := 1; i <= n; i++ {
			b.addrs = append(b.addrs, fmt.Sprintf("%s.%d", prefix, i))
		}
		if !portsFree(b.addrs) {
			if err := b.release(); err != nil {
				return nil, err
			}
			continue
		}
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("make data directory: %w", err), b.release())
		}
		return b, nil
	}
	return nil, fmt.Errorf("no loopback block 127.0.0.1 to 127.0.%d.%d has ports %d and %d free; see who listens: ss -ltnp", lastBlock, n, cqlPort, storagePort)
}

// removeStale removes the data directories whose owner is gone.
func removeStale(base string) error {
	dirs, err := filepath.Glob(filepath.Join(base, "127.0.*[0-9]"))
	if err != nil {
		return fmt.Errorf("list server data: %w", err)
	}
	for _, dir := range dirs {
		lock, err := tryLock(dir + ".lock")
		if errors.Is(err, errLocked) {
			continue // its owner runs
		}
		if err != nil {
			return err
		}
		b := &block{dir: dir, lock: lock}
		if err := b.release(); err != nil {
			return err
		}
	}
	return nil
}

// spare returns n more addresses of the block. They belong to the holder of the
// lock as the first n do, but nobody has looked whether their ports are free.
func (b *block) spare(n int) []string {
	var addrs []string
	for i := 1; i <= n; i++ {
		addrs = append(addrs, fmt.Sprintf("%s.%d", b.prefix, n+i))
	}
	return addrs
}

// release removes the data and gives the block back. The lock file stays: to
// remove it would let two processes lock two files of one name.
func (b *block) release() error {
	err := os.RemoveAll(b.dir)
	return errors.Join(err, b.lock.Close())
}

// portsFree tells whether a server could listen on every address.
func portsFree(addrs []string) bool {
	for _, addr := range addrs {
		for _, port := range []int{cqlPort, storagePort} {
			l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
			if err != nil {
				return false
			}
			if l.Close() != nil {
				return false
			}
		}
	}
	return true
}

// errLocked says that another holder has the lock.
var errLocked = errors.New("locked")

// tryLock takes the lock of a file, which it creates if needed, or returns
// errLocked. To close the file gives the lock back; the kernel does so too
// when the process ends.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
}
