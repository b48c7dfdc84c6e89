package sli

import (
	"context"
	"errors"
	"strings"
)

// unprovidedTexts are in the errors of a daemon that has not got content, and has found
// nobody who has: Kubo's for a block that it was to find in its own store, and for one that
// nobody provides. The last is that of upstream's connector, which cancels a pin that has
// made no progress for pin_timeout; it has asked the daemon something before, and got an
// answer.
func unprovidedTexts() []string {
	return []string{"block was not found locally", "could not find", "no providers", "routing: not found", context.Canceled.Error()}
}

// Unprovided reports whether an error of the IPFS daemon says that it has not got the
// content, as nobody provides it.
func Unprovided(err error) bool {
	return err != nil && (errors.Is(err, context.Canceled) || unprovided(err.Error()))
}

func unprovided(text string) bool {
	if text == "" {
		return false
	}
	for _, one := range unprovidedTexts() {
		if strings.Contains(text, one) {
			return true
		}
	}
	return false
}
