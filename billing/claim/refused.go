package claim

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Reason is why something is not billed, in a word for metrics and tables.
type Reason string

// The reasons.
const (
	ReasonOwner      Reason = "owner"      // too long, not text that shows, or the one of Suspense
	ReasonRequest    Reason = "request"    // missing, too long or not text that shows
	ReasonCid        Reason = "cid"        // missing, too long or not text that shows
	ReasonSize       Reason = "size"       // negative
	ReasonLarge      Reason = "large"      // larger than is believed
	ReasonReplicas   Reason = "replicas"   // fewer than none
	ReasonTime       Reason = "time"       // missing, before 1970 or after 9999
	ReasonFuture     Reason = "future"     // later than now
	ReasonOld        Reason = "old"        // older than the window
	ReasonConflict   Reason = "conflict"   // not what was told before
	ReasonCorrection Reason = "correction" // one that corrects nothing, or to less than nothing
)

// RefusedError says why something is not billed before a human has looked at it.
type RefusedError struct {
	Reason Reason
	Detail string
}

func (e *RefusedError) Error() string { return "refused (" + string(e.Reason) + "): " + e.Detail }

func refused(why Reason, format string, args ...any) error {
	return &RefusedError{why, fmt.Sprintf(format, args...)}
}

// maxText bounds a text, in bytes, as the gateway bounds the ids of its tenants.
const maxText = 512

// checkText refuses a text that is too long, not UTF-8, or has characters that do not show: it
// is a part of keys, and is shown to people.
func checkText(why Reason, text string) error {
	switch {
	case len(text) > maxText:
		return refused(why, "it has %d bytes, more than %d", len(text), maxText)
	case !utf8.ValidString(text):
		return refused(why, "%.100q is not UTF-8", text)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return refused(why, "%.100q has characters that do not show", text)
		}
	}
	return nil
}
