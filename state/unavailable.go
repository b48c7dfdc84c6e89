package state

import "errors"

// Unavailable reports whether err came because the store did not serve a request
// although nothing was wrong with it: its database is down, slow or not to be
// reached. A store with such errors tells the log of them by itself, once when
// they begin, from time to time and at the end.
func Unavailable(err error) bool {
	var u interface{ Unavailable() bool }
	return errors.As(err, &u) && u.Unavailable()
}

// Failure chooses how to log the failure of what is tried again: by debug what
// the store tells by itself, so that an outage is one line and not one of each
// loop, else by warn.
func Failure[F any](err error, warn, debug F) F {
	if Unavailable(err) {
		return debug
	}
	return warn
}
