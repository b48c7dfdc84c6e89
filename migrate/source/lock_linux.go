package source

import "golang.org/x/sys/unix"

// setLock locks a file for who has opened it. The lock keeps all others out, in
// this process as well, and ends with that file.
const setLock = unix.F_OFD_SETLK
