// Package source reads pins from where an ipfs-cluster has kept them: the folder
// of a stopped peer, an export, a running cluster, another database. It changes
// nothing there.
package source

import (
	"context"
	"errors"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Source is a place that pins come from. Its methods must be called one after
// another.
type Source interface {
	// ID names the source. It is the same whenever the same source is opened,
	// and has no secret in it.
	ID() string
	// Fingerprint is another one when the content may be another one. Empty
	// means that nobody can tell.
	Fingerprint() string
	// Warnings are what the user should know of the source before it is used.
	Warnings() []string
	// MayLack reports whether the source may lack pins that its peer has or
	// should have, so that what is not in it must not be removed elsewhere. The
	// Warnings say why.
	MayLack() bool
	// ReadOnce reports whether Read works only once.
	ReadOnce() bool
	// Count returns the number of records, as far as they can be counted much
	// faster than they are read; otherwise a negative number. It calls progress
	// now and then with the number so far.
	Count(ctx context.Context, progress func(n int64)) (int64, error)
	// Read calls f for each pin after the position, in an order that is the
	// same as long as the Fingerprint is, and bad for each record that is none.
	// It ends with the first error of either, or with one of its own when it
	// cannot go on, or soon after the context has ended. One that matches
	// ErrReadOnce says that the source was read before.
	Read(ctx context.Context, from Position, f func(Record) error, bad func(Bad) error) error
	// Close releases the source.
	Close() error
}

// ErrReadOnce says that a source was to be read again that cannot be.
var ErrReadOnce = errors.New("it can be read only once")

// Position is a place between two records of a source. The zero Position is the
// beginning.
type Position struct {
	// Key is known to the source only.
	Key []byte
	// Records is how many records lie before it, bad ones included.
	Records int64
}

// Record is one pin.
type Record struct {
	Cid api.Cid
	// Value is the pin as protobuf, as dsstate stores it. Whether it can be
	// decoded is not said.
	Value []byte
	// After is the position behind the record. After.Records is its number,
	// from 1.
	After Position
}

// Bad is a record that is no pin.
type Bad struct {
	// At names it: "line 7", or the key.
	At    string
	Err   error
	After Position
}
