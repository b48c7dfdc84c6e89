package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// errNoShadow says that there is no place for the folder of links.
var errNoShadow = errors.New("making a folder of links")

// newer says that files are of a version that came after this program.
type newer struct{ err error }

func (n *newer) Error() string { return firstLine(n.err) }
func (n *newer) Unwrap() error { return n.err }

// trouble says what to do about an error of the machine, which has nothing to do with
// what is in the files. It is empty for all others.
func trouble(err error) string {
	switch {
	case saysAny(err, unix.EMFILE, unix.ENFILE):
		return "too many files are open: raise the limit (ulimit -n)"
	case noPlace(err):
		return fmt.Sprintf("the folder %s for temporary files cannot be used or is full: make room there, or name another one with TMPDIR", os.TempDir())
	case saysAny(err, unix.EACCES, unix.EPERM):
		return "this user may not use its files: run this as the user of the peer"
	case saysAny(err, unix.EROFS):
		return "its files cannot be written to: use a copy of the folder"
	}
	return ""
}

// noPlace is about the folder for temporary files: nothing is written elsewhere.
func noPlace(err error) bool {
	return errors.Is(err, errNoShadow) || saysAny(err, unix.ENOSPC, unix.EDQUOT)
}

// saysAny knows errors of the system, also where badger has only kept their text.
func saysAny(err error, of ...unix.Errno) bool {
	return err != nil && slices.ContainsFunc(of, func(e unix.Errno) bool {
		return errors.Is(err, e) || strings.HasSuffix(firstLine(err), ": "+e.Error())
	})
}

// inFolder is an error of an engine with the folder that it was asked for in its text.
type inFolder struct {
	err  error
	text string
}

func (i *inFolder) Error() string { return i.text }
func (i *inFolder) Unwrap() error { return i.err }

// nameFolder puts the name of a folder in the place of that of its shadow.
func nameFolder(err error, folder string) error {
	if noPlace(err) {
		return err
	}
	shadow := regexp.MustCompile(regexp.QuoteMeta(filepath.Join(os.TempDir(), shadowName)) + `\d+`)
	return &inFolder{err, shadow.ReplaceAllLiteralString(err.Error(), folder)}
}
