package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// shadow is a folder of links to the files of another one. An engine that opens
// it finds all data, and whatever it creates, renames or removes there is only
// in the shadow: all four engines do some of that even if they are told to read
// only. What keeps them from writing into the files is that they are told so.
type shadow struct {
	path string
	lock io.Closer
}

// shadowName is how the name of a shadow begins. A number follows.
const shadowName = "ipfs-cluster-migrate-"

// newShadow makes the shadow of a folder. Link decides for each file what is
// done with it. Folders inside of it are left out: no engine uses any.
func newShadow(of string, link func(name string, info fs.FileInfo) linkMode) (*shadow, error) {
	removeShadows(os.TempDir())
	s, err := makeShadow()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoShadow, err)
	}
	if err := s.fill(of, link); err != nil {
		return nil, errors.Join(fmt.Errorf("making a folder of links to %s: %w", of, err), s.remove())
	}
	return s, nil
}

// makeShadow makes an empty shadow. Another process may remove a folder before it is
// locked.
func makeShadow() (*shadow, error) {
	for {
		path, err := os.MkdirTemp("", shadowName)
		if err != nil {
			return nil, err
		}
		lock, err := lockShadow(path)
		if err == nil {
			return &shadow{path, lock}, nil
		}
		if !errors.Is(err, errInUse) {
			return nil, errors.Join(err, os.Remove(path))
		}
	}
}

// ownShadow is newShadow for who has locked the folder. Closing what is owned removes
// the shadow and then gives the lock back, as an error does.
func ownShadow(lock io.Closer, of string, link func(name string, info fs.FileInfo) linkMode) (path string, owned io.Closer, err error) {
	s, err := newShadow(of, link)
	if err != nil {
		return "", nil, errors.Join(err, lock.Close())
	}
	return s.path, closers{lock, closeFunc(s.remove)}, nil
}

// linkMode is what becomes of a file in the shadow.
type linkMode int

const (
	linked linkMode = iota
	leftOut
	copied
)

func (s *shadow) fill(of string, link func(string, fs.FileInfo) linkMode) error {
	entries, err := os.ReadDir(of)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(of, entry.Name())
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		to := filepath.Join(s.path, entry.Name())
		switch link(entry.Name(), info) {
		case linked:
			err = os.Symlink(name, to)
		case copied:
			err = copyFile(name, to, info.Size())
		case leftOut:
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shadow) remove() error { return errors.Join(os.RemoveAll(s.path), s.lock.Close()) }

// copyFile copies the first bytes of a file into a new one.
func copyFile(from, to string, size int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, size)
	return errors.Join(err, out.Close())
}
