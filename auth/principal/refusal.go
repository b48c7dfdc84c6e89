package principal

import (
	"fmt"
	"time"
)

// Refusal says that a credential was looked at and is not good. It is the client's
// fault: to send the same again does not help.
type Refusal struct {
	// Details may be told to the client. They hold no secret, nothing of keys, and
	// nothing that only an owner of the credential should learn unless it was proved.
	Details string
	// Malformed says that what was sent cannot be read as a credential of its kind.
	Malformed bool
	// Err is why, for the record of the audit. May be nil.
	Err error
}

// Error returns Details and Err.
func (r *Refusal) Error() string { return join(r.Details, r.Err) }

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// Refuse returns a *Refusal that tells the client details, because of err, which may be
// nil.
func Refuse(details string, err error) error { return &Refusal{Details: details, Err: err} }

// RefuseMalformed is Refuse for what cannot be read.
func RefuseMalformed(details string, err error) error {
	return &Refusal{Details: details, Malformed: true, Err: err}
}

// Unavailable says that a credential cannot be checked now, since something that is
// needed for it does not answer. Nobody knows whether it is good. Never taken for a
// Refusal: clients throw credentials away that are refused.
type Unavailable struct {
	// RetryAfter is when it is worth another try. Positive.
	RetryAfter time.Duration
	// Err is what failed.
	Err error
}

// Error returns what failed.
func (u *Unavailable) Error() string {
	return fmt.Sprintf("the credential cannot be checked now: %v", u.Err)
}

// Unwrap returns Err.
func (u *Unavailable) Unwrap() error { return u.Err }

// CannotCheck returns an *Unavailable.
func CannotCheck(after time.Duration, err error) error {
	return &Unavailable{RetryAfter: max(after, time.Second), Err: err}
}

func join(details string, err error) string {
	if err == nil {
		return details
	}
	return fmt.Sprintf("%s: %v", details, err)
}
