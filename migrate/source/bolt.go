package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// Layout of the first two pages of a file of bolt: behind the header of the page
// are magic, version, page size, flags, root (two words), freelist, the number
// of pages, the transaction, and a checksum of all before it.
const (
	boltPageHeader = 16
	boltMeta       = 64
	boltMagic      = 0xED0CDAED
)

// checkBolt makes sure that a file of bolt has all its pages. Bolt maps it into
// memory and reads what is not there, which ends the process.
func checkBolt(name string, size int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	pageSize, pages, transaction := int64(os.Getpagesize()), uint64(0), uint64(0)
	read := func(offset int64) bool {
		b := make([]byte, boltMeta)
		if _, err := f.ReadAt(b, offset+boltPageHeader); err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		sum := fnv.New64a()
		_, _ = sum.Write(b[:boltMeta-8]) // a hash never fails
		if binary.NativeEndian.Uint32(b) != boltMagic || binary.NativeEndian.Uint64(b[boltMeta-8:]) != sum.Sum64() {
			return false
		}
		if t := binary.NativeEndian.Uint64(b[48:]); pages == 0 || t >= transaction {
			pageSize = int64(binary.NativeEndian.Uint32(b[8:]))
			pages, transaction = binary.NativeEndian.Uint64(b[40:]), t
		}
		return true
	}
	one := read(0)
	two := read(pageSize)
	if !one && !two {
		return errors.New("it is no file of bolt")
	}
	if pageSize <= 0 || pages > uint64(size/pageSize) {
		return fmt.Errorf("it has %d bytes where %d pages of %d bytes were written", size, pages, pageSize)
	}
	return nil
}
