//go:build !linux

package source

import "golang.org/x/sys/unix"

// setLock locks a file for the whole process, until that closes the file,
// wherever and for whatever it was opened.
const setLock = unix.F_SETLK
