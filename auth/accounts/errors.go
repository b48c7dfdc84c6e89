package accounts

import (
	"errors"
	"fmt"
	"slices"
)

// Errors for clients. Any other, but an *InvalidError, is a failure of the database or of
// what is stored in it.
var (
	// ErrNotFound is also of what another tenant has.
	ErrNotFound = errors.New("there is no such thing")
	// ErrExists says that the name is taken: by a tenant, or of a credential by another
	// principal.
	ErrExists = errors.New("it exists already")
	// ErrChanged says that somebody else has changed it meanwhile: read it again.
	ErrChanged = errors.New("it was changed meanwhile")
	// ErrRevoked says that all was taken from whoever wants it, a moment ago.
	ErrRevoked = errors.New("whoever asks for it was revoked")
)

// InvalidError says what is wrong with what a client wants.
type InvalidError struct{ Field, Problem string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Problem }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// wrap says what failed, if something did.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// errIncomplete is of a row that lacks something.
var errIncomplete = errors.New("the row is not complete")

// stored says what cannot be read as what it is to be. No client can help it, whatever err is.
func stored(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+" as it is stored: %v", append(args, err)...)
}

// complete returns an error unless all lists are there: one that is null is not an empty one.
func complete(lists ...[]string) error {
	if slices.ContainsFunc(lists, func(list []string) bool { return list == nil }) {
		return errIncomplete
	}
	return nil
}
