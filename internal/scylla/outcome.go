package scylla

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"
)

// outcome is how a request, or one attempt of it, ended.
type outcome uint8

const (
	worked      outcome = iota // also if there was no row, or a condition did not hold
	timeout                    // nobody answered in time, or a server says that of its replicas
	unavailable                // too few nodes are up
	overloaded                 // a server refused the load
	refused                    // the request is wrong, or the role may not make it
	notSent                    // no node took it
	unknown                    // the connection broke, or a server failed
	canceled                   // the caller has left
	outcomes                   // how many there are
)

func (o outcome) String() string {
	return [...]string{"ok", "timeout", "unavailable", "overloaded", "refused", "not_sent", "unknown", "canceled"}[o]
}

// outcomeOf tells how what ended with err ended.
func outcomeOf(err error) outcome {
	switch {
	case err == nil, errors.Is(err, gocql.ErrNotFound):
		return worked
	case errors.Is(err, context.Canceled):
		return canceled
	case NotSent(err):
		return notSent
	case limited(err):
		return overloaded
	case Permanent(err):
		return refused
	case timedOut(err), errors.Is(err, context.DeadlineExceeded), broke(err) && silent(err):
		return timeout
	}
	code, _ := Code(err)
	switch code {
	case gocql.ErrCodeOverloaded:
		return overloaded
	case gocql.ErrCodeUnavailable, gocql.ErrCodeBootstrapping:
		return unavailable
	case gocql.ErrCodeCredentials, gocql.ErrCodeUnauthorized: // which the server could not look up, see rolesUnread
		return unavailable
	case gocql.ErrCodeWriteTimeout, gocql.ErrCodeReadTimeout:
		return timeout
	case gocql.ErrCodeAlreadyExists, gocql.ErrCodeUnprepared:
		return refused
	}
	return unknown
}

// limited reports whether a server refused the request as there are too many of them
// for one partition. The code for that differs between servers.
func limited(err error) bool {
	var limit *gocql.RequestErrRateLimitReached
	return errors.As(err, &limit)
}

// noCode is the code of what no server has answered with an error.
const noCode = "none"

// codeOf is the server's code of an error, as in "0x1100".
func codeOf(err error) string {
	code, answered := Code(err)
	if !answered {
		return noCode
	}
	return fmt.Sprintf("0x%04x", code)
}

// casResult is what became of a conditional update.
type casResult uint8

const (
	casApplied  casResult = iota
	casConflict           // somebody else was faster, or there first
	casOpen               // nobody knows: it may have been applied, or yet be
	casFailed             // an error, and it will not be applied
	casResults            // how many there are
)

func (r casResult) String() string {
	return [...]string{"applied", "conflict", "unknown", "error"}[r]
}

func casResultOf(done bool, err error) casResult {
	switch {
	case err == nil && done:
		return casApplied
	case err == nil:
		return casConflict
	case NotSent(err) || Rejected(err):
		return casFailed
	}
	return casOpen
}

// givenUp is why a read or a plain write was not sent once more.
type givenUp uint8

const (
	timeOver  givenUp = iota // of the request
	refusals                 // as many as are taken
	permanent                // sending it again cannot help
	rateLimit                // sending it again would add to the load that is refused
	noNode                   // no node takes it
	callerLeft
	reasons // how many there are
)

func (g givenUp) String() string {
	return [...]string{"time_over", "refusals", "permanent", "rate_limit", "no_node", "canceled"}[g]
}
