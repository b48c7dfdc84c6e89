package scylla

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"

	"github.com/gocql/gocql"
)

// gone is how the engines say that a keyspace or a table is not there.
var gone = regexp.MustCompile(`(?i)(keyspace|table) \S+ (does not exist|not found)|unconfigured table|no keyspace has been specified`)

// roleUnread is what a database did to which rolesUnread applies.
const roleUnread = "could not look up the role: too few of its nodes answer"

// noAnswer is the reason of what was waited for in vain.
const noAnswer = "the database did not answer in time"

// reason says in words why the database did not serve a request. It is empty
// where the server's own words are better.
func (db *DB) reason(err error) string {
	var (
		unavailable   *gocql.RequestErrUnavailable
		readTimeout   *gocql.RequestErrReadTimeout
		writeTimeout  *gocql.RequestErrWriteTimeout
		readFailure   *gocql.RequestErrReadFailure
		writeFailure  *gocql.RequestErrWriteFailure
		casUnknown    *gocql.RequestErrCASWriteUnknown
		code, refused = Code(err)
	)
	switch {
	case errors.Is(err, gocql.ErrNoStreams):
		return "too many requests to the database are under way"
	case NotSent(err):
		if why := db.conf.connectReason(db.connects.get()); why != "" {
			return "no node of the database can be used: " + why
		}
		return "no node of the database is up"
	case timedOut(err), broke(err) && silent(err):
		return noAnswer
	case broke(err):
		return "the connection to the database broke"
	case errors.As(err, &unavailable):
		return "too few nodes of the database are up"
	case errors.As(err, &readTimeout), errors.As(err, &writeTimeout), errors.As(err, &casUnknown):
		return "too few nodes of the database answered in time"
	case errors.As(err, &readFailure), errors.As(err, &writeFailure):
		return "nodes of the database failed the request"
	case refused && code == gocql.ErrCodeOverloaded: // Cassandra says so when it ends, too
		return "a node of the database takes no requests: it is overloaded, or ends"
	case refused && code == gocql.ErrCodeBootstrapping:
		return "a node of the database takes no requests: it is starting"
	case rolesUnread(err):
		return "the database " + roleUnread
	case refused && code == gocql.ErrCodeCredentials:
		return "the database refused the user name or the password: correct " + db.conf.field("username and password")
	case refused && gone.MatchString(err.Error()):
		return fmt.Sprintf("the keyspace %s or one of its tables is not in the database any more", db.Keyspace)
	}
	return ""
}

// broke reports whether err is what is left of a connection. Its own text has
// addresses.
func broke(err error) bool {
	var network net.Error
	if _, answered := Code(err); answered || errors.Is(err, context.DeadlineExceeded) {
		return false // the latter is a net.Error too
	}
	for _, e := range []error{gocql.ErrConnectionClosed, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &network)
}

// silent reports whether a connection broke because nothing came for too long.
func silent(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// connectReason says in words why a connection failed, without an address.
func (c Config) connectReason(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		alert    tls.AlertError
		op       *net.OpError
		dns      *net.DNSError
	)
	code, refused := Code(err)
	switch {
	case err == nil:
		return ""
	case rolesUnread(err):
		return "it " + roleUnread
	case refused && code == gocql.ErrCodeCredentials:
		return "it refuses the user name or the password: correct " + c.field("username and password")
	case errors.As(err, &unknown):
		return "its certificate is signed by an authority that is not accepted: correct " + c.field("tls.ca_file")
	case errors.As(err, &hostname):
		return "its certificate is for another name: correct " + c.field("tls.server_name")
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "its certificate is not accepted: has it run out?"
	case errors.As(err, &alert):
		return "it refuses the TLS connection (" + alert.Error() + "): look at " + c.field("tls.cert_file")
	case errors.As(err, &dns):
		return "its name cannot be looked up"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return ""
}
