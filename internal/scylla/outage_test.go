package scylla

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// logged returns the lines that f logs.
func logged(t *testing.T, f func()) []string {
	t.Helper()
	if err := logging.SetLogLevel("scylla", "info"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logging.SetLogLevel("scylla", "error") }()
	return strings.Split(strings.TrimSpace(logtest.During(t, logging.LevelInfo, f)), "\n")
}

// TestOutageIsTold shows that an outage is a line when it begins, one every ten
// minutes and one at the end, whatever fails and works in between.
func TestOutageIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil, nobody)}
		fail := func() {
			t.Helper()
			err := db.describe(t.Context(), &trail{attempts: 3, last: "127.0.0.9:9042"}, gocql.ErrTimeoutNoResponse, false)
			db.NotServed(err)
			var failed *RequestError
			if !errors.As(err, &failed) || !failed.Unavailable() {
				t.Fatalf("%v is not the error of an outage", err)
			}
			if strings.Contains(err.Error(), "127.0.0.9") {
				t.Errorf("%q tells where the database is", err)
			}
		}
		lines := logged(t, func() {
			db.outage.success() // says nothing
			for range 25 * 60 {
				fail()
				db.outage.success() // one range of the ring still works
				time.Sleep(time.Second)
			}
			time.Sleep(outageOver)
			db.outage.success()
			db.outage.success()
			time.Sleep(time.Hour)
			fail() // another one
		})
		want := []string{
			"the database does not serve requests: the database did not answer in time (attempts 3); last node 127.0.0.9:9042; gocql: no response",
			"the database has not served 601 requests for 10m0s, the last one: the database did not answer in time",
			"the database has not served 1201 requests for 20m0s",
			"the database serves requests again; 1500 failed in 24m59s",
			"the database does not serve requests",
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			if !strings.Contains(line, want[i]) {
				t.Errorf("line %d is\n%s\nwant\n%s", i, line, want[i])
			}
		}
	})
}

// TestNoOutage shows what an outage is not: a caller that has left before one
// attempt was over, and a piece of the ring that is read in smaller ones.
func TestNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &DB{limit: 10 * time.Second, health: newHealth(nil, nil, nobody)}
		failed := func(attempts int) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			<-ctx.Done()
			return db.describe(ctx, &trail{attempts: attempts}, ctx.Err(), false)
		}
		if lines := logged(t, func() { db.NotServed(failed(1)) }); lines[0] != "" {
			t.Errorf("one that has left: %q", lines)
		}
		scan := &Rows{db: db, scan: true}
		if lines := logged(t, func() {
			_ = scan.failed(db.describe(t.Context(), new(trail), gocql.ErrTimeoutNoResponse, false))
		}); lines[0] != "" {
			t.Errorf("a scan: %q", lines)
		}
		if lines := logged(t, func() { db.NotServed(failed(2)) }); len(lines) != 1 || !strings.Contains(lines[0], "the database does not serve requests: the database did not answer in time (attempts 2)") {
			t.Errorf("one that has left after an attempt without an answer: %q", lines)
		}
	})
}

// TestReasons shows the words for what goes wrong while a session is open.
func TestReasons(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9042}, Err: syscall.ECONNREFUSED}
	for _, tt := range []struct {
		err, connect error
		want         string
	}{
		{gocql.ErrNoConnections, nil, "no node of the database is up"},
		{gocql.ErrNoConnections, refused, "no node of the database can be used: connection refused"},
		{gocql.ErrNoConnections, x509.UnknownAuthorityError{}, "no node of the database can be used: its certificate is signed by an authority that is not accepted: correct state.scylla.tls.ca_file"},
		{gocql.ErrNoConnections, x509.HostnameError{Certificate: &x509.Certificate{}, Host: "10.1.2.3"}, "no node of the database can be used: its certificate is for another name: correct state.scylla.tls.server_name"},
		{gocql.ErrNoConnections, &net.DNSError{Name: "db.example"}, "no node of the database can be used: its name cannot be looked up"},
		{gocql.ErrNoConnections, answered{gocql.ErrCodeCredentials, "Provided username u and/or password are incorrect"}, "no node of the database can be used: it refuses the user name or the password: correct state.scylla.username and password"},
		{gocql.ErrNoConnections, answered{gocql.ErrCodeCredentials, rolesUnreadLogin}, "no node of the database can be used: it could not look up the role: too few of its nodes answer"},
		{answered{gocql.ErrCodeCredentials, rolesUnreadLogin}, nil, "the database could not look up the role: too few of its nodes answer (code 0x0100)"},
		{answered{gocql.ErrCodeUnauthorized, rolesUnreadRight}, nil, "the database could not look up the role: too few of its nodes answer (code 0x2100)"},
		{gocql.ErrConnectionClosed, nil, "the connection to the database broke"},
		{io.EOF, nil, "the connection to the database broke"},
		{&net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9042}, Err: syscall.ECONNRESET}, nil, "the connection to the database broke"},
		{&net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded}, nil, "the database did not answer in time"},
		{&net.OpError{Op: "read", Net: "tcp", Err: syscall.ETIMEDOUT}, nil, "the database did not answer in time"},
		{context.DeadlineExceeded, nil, "context deadline exceeded"},
		{gocql.ErrNoStreams, nil, "too many requests to the database are under way"},
		{&gocql.RequestErrUnavailable{}, nil, "too few nodes of the database are up (code 0x0000, consistency ANY, required 0, received 0)"},
		{&gocql.RequestErrReadTimeout{}, nil, "too few nodes of the database answered in time (code 0x0000, consistency ANY, required 0, received 0)"},
		{answered{gocql.ErrCodeOverloaded, "Server is shutting down"}, nil, "a node of the database takes no requests: it is overloaded, or ends (code 0x1001)"},
		{answered{gocql.ErrCodeBootstrapping, "Cannot read from a bootstrapping node"}, nil, "a node of the database takes no requests: it is starting (code 0x1002)"},
		{answered{gocql.ErrCodeInvalid, "Keyspace 'pins' does not exist"}, nil, "the keyspace k or one of its tables is not in the database any more (code 0x2200)"},
		{answered{gocql.ErrCodeInvalid, "unconfigured table pins"}, nil, "the keyspace k or one of its tables is not in the database any more (code 0x2200)"},
		{answered{gocql.ErrCodeUnauthorized, "User u has no MODIFY permission on <table k.pins> or any of its parents"}, nil,
			`the role u lacks the right MODIFY; a superuser gives it with: GRANT SELECT ON KEYSPACE k TO "u"; GRANT MODIFY ON KEYSPACE k TO "u";: User u has no MODIFY permission on <table k.pins> or any of its parents (code 0x2100)`},
		{answered{gocql.ErrCodeInvalid, "something else"}, nil, "something else (code 0x2200)"},
	} {
		db := &DB{Keyspace: "k", conf: Config{Section: "state.scylla", Username: "u"}}
		db.connects.err = tt.connect
		if got := db.describe(t.Context(), new(trail), tt.err, false); text(got) != tt.want {
			t.Errorf("%v is told as\n%s\nwant\n%s", tt.err, got, tt.want)
		}
	}
}

// What Cassandra 5.0.9 says to the superuser while two of three nodes are down.
const (
	rolesUnreadLogin = "Unable to perform authentication: Cannot achieve consistency level QUORUM"
	rolesUnreadRight = "Unable to perform authorization of permissions: Unable to perform authorization of super-user permission: Cannot achieve consistency level QUORUM"
)

// A database that cannot look up a role is waited for. It has not refused it.
func TestRolesUnread(t *testing.T) {
	for text, unread := range map[string]bool{
		rolesUnreadLogin: true, rolesUnreadRight: true,
		"Provided username u and/or password are incorrect":                       false,
		"User u has no MODIFY permission on <table k.pins> or any of its parents": false,
	} {
		for _, code := range []int{gocql.ErrCodeCredentials, gocql.ErrCodeUnauthorized} {
			answer := answered{code, text}
			err := explainRights(fmt.Errorf("outer: %w", answer), "u")
			for _, err := range []error{err, Config{}.explainConnect(errors.New("gocql: unable to connect"), answer)} {
				if Permanent(err) == unread {
					t.Errorf("%v (code 0x%04x) is permanent: %t", err, code, !unread)
				}
			}
			if told := strings.Contains(err.Error(), "lacks"); told != (code == gocql.ErrCodeUnauthorized && !unread) {
				t.Errorf("%q (code 0x%04x) tells of a right: %t", err, code, told)
			}
			if !Rejected(err) { // nothing was done before it was checked
				t.Errorf("%q (code 0x%04x) was not rejected", err, code)
			}
		}
	}
}

// answered is an error of a server.
type answered struct {
	code int
	text string
}

func (e answered) Error() string      { return e.text }
func (e answered) GetCode() int       { return e.code }
func (e answered) GetMessage() string { return e.text }
