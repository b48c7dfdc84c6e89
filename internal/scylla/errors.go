package scylla

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gocql/gocql"
)

// serverError is what every error frame of the server answers to. The driver's
// own RequestError names methods that its frames no longer have, so that
// errors.As with it never matches (scylladb/gocql v1.18.0 to v1.19.0).
type serverError interface {
	error
	GetCode() int
	GetMessage() string
}

// Code returns the CQL error code of the server inside err, and false when
// the server did not answer.
func Code(err error) (int, bool) {
	var se serverError
	if errors.As(err, &se) {
		return se.GetCode(), true
	}
	return 0, false
}

// NotSent reports whether err means that no server can have seen the request.
// Only then is the outcome of a conditional update known to be "not applied".
func NotSent(err error) bool {
	for _, e := range []error{
		gocql.ErrNoStreams, gocql.ErrHostDown, gocql.ErrNoPool, gocql.ErrNoConnectionsInPool,
		gocql.ErrNoConnections, gocql.ErrSessionClosed, gocql.ErrSessionNotReady,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Rejected reports whether the server refused the request before it did
// anything: too few replicas are alive, or the request itself is wrong. A
// conditional update with such an answer was not and will not be applied. An
// overloaded server is not among them: Cassandra may say so after the ballot.
func Rejected(err error) bool {
	var unavailable *gocql.RequestErrUnavailable
	if errors.As(err, &unavailable) {
		// Without SERIAL the update may have passed its ballot and failed
		// only when it was to be written.
		return unavailable.Consistency.IsSerial()
	}
	code, ok := Code(err)
	if !ok {
		return false
	}
	switch code {
	case gocql.ErrCodeCredentials, gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized,
		gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeUnprepared:
		return true
	}
	return false
}

// Permanent reports whether trying again cannot help before somebody changes
// the configuration, the role or the program.
func Permanent(err error) bool {
	var p *PermanentError
	if errors.As(err, &p) {
		return true
	}
	code, ok := Code(err)
	if !ok || rolesUnread(err) {
		return false
	}
	switch code {
	case gocql.ErrCodeCredentials, gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized,
		gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeProtocol:
		return true
	}
	return false
}

// PermanentError is a mistake that waiting does not mend. Its text says what
// to change.
type PermanentError struct {
	Text string
	Err  error
}

func (e *PermanentError) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap gives the cause, which may be nil.
func (e *PermanentError) Unwrap() error { return e.Err }

// RequestError is the error of a request. Its text says in words why the
// database did not serve it, and has what an operator needs beside: the code, the
// consistency, how many replicas were required and how many answered, how often
// it was sent, whether it may have been executed. It says neither where the
// database is nor what the driver calls it: answers to clients repeat it.
type RequestError struct {
	// Err is what the driver says of the last attempt.
	Err error
	// Host is the address of the node that failed last, empty when none was
	// asked.
	Host string
	// reason is Err in words, empty where those of the server are better.
	reason string
	facts  []string
	// left says that the caller did not wait for a whole attempt, which tells
	// nothing of the database.
	left bool
}

func (e *RequestError) Error() string {
	text := e.reason
	if text == "" {
		text = e.Err.Error()
	}
	if len(e.facts) == 0 {
		return text
	}
	return text + " (" + strings.Join(e.facts, ", ") + ")"
}

// detail is for the log.
func (e *RequestError) detail() string {
	text := e.Error()
	if e.Host != "" {
		text += "; last node " + e.Host
	}
	if e.reason != "" {
		text += "; " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// Unavailable reports whether the database did not serve the request, although
// nothing is wrong with it. The session logs that by itself, once for all.
func (e *RequestError) Unavailable() bool {
	return e.reason != "" || errors.Is(e.Err, context.DeadlineExceeded) || unserved(e.Err)
}

// unserved reports whether a server says that it does not serve now.
func unserved(err error) bool {
	code, ok := Code(err)
	if !ok {
		return false
	}
	switch code {
	case gocql.ErrCodeServer, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping, gocql.ErrCodeTruncate, gocql.ErrCodeUnauthorized:
		return true
	}
	return false
}

// NotServed tells the log that the database does not serve, if err says so. The
// session calls it for each request but two: a piece of the ring that is not read
// in time is read in smaller ones, and a conditional update without an answer is
// asked about. Who gives those up calls it.
func (db *DB) NotServed(err error) {
	var e *RequestError
	if errors.As(err, &e) && e.Unavailable() && !e.left {
		db.outage.failure(e)
	}
}

// describe makes the error of a request, whose attempts t knows and whose caller
// gave ctx. open says that it may have been executed although it failed, which
// nobody needs to know of what may be sent twice.
func (db *DB) describe(ctx context.Context, t *trail, err error, open bool) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled // without what the driver says beside
	}
	host, attempts := t.facts()
	var facts []string
	if attempts > 0 {
		facts = append(facts, fmt.Sprintf("attempts %d", attempts))
	}
	if code, ok := Code(err); ok {
		facts = append(facts, fmt.Sprintf("code 0x%04x", code))
	}
	facts = append(facts, replicaFacts(err)...)
	if open {
		facts = append(facts, "may have been executed")
	}
	err = bare(err)
	reason := db.reason(err)
	if attempts > 0 && errors.Is(err, context.DeadlineExceeded) {
		reason = noAnswer
	}
	return explainRights(&RequestError{
		Err: err, Host: host, facts: facts, reason: reason,
		left: ctx.Err() != nil && attempts < 2,
	}, db.conf.Username, Grants(db.Keyspace, db.conf.Username, false)...)
}

// bare is err without what the driver adds to it: of every request that was sent
// it says that it may have been executed.
func bare(err error) error {
	var qe *gocql.QueryError
	if errors.As(err, &qe) {
		return qe.Unwrap()
	}
	return err
}

// replicaFacts are what a server says of the replicas.
func replicaFacts(err error) []string {
	facts := func(cons gocql.Consistency, required, received int) []string {
		return []string{fmt.Sprintf("consistency %s", cons), fmt.Sprintf("required %d", required), fmt.Sprintf("received %d", received)}
	}
	var (
		unavailable *gocql.RequestErrUnavailable
		wt          *gocql.RequestErrWriteTimeout
		rt          *gocql.RequestErrReadTimeout
		wf          *gocql.RequestErrWriteFailure
		rf          *gocql.RequestErrReadFailure
	)
	switch {
	case errors.As(err, &unavailable):
		return facts(unavailable.Consistency, unavailable.Required, unavailable.Alive)
	case errors.As(err, &wt):
		return append(facts(wt.Consistency, wt.BlockFor, wt.Received), "write type "+wt.WriteType)
	case errors.As(err, &rt):
		return facts(rt.Consistency, rt.BlockFor, rt.Received)
	case errors.As(err, &wf):
		return facts(wf.Consistency, wf.BlockFor, wf.Received)
	case errors.As(err, &rf):
		return facts(rf.Consistency, rf.BlockFor, rf.Received)
	}
	return nil
}
