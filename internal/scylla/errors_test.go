package scylla

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
)

// TestServerErrors makes a real server refuse requests and shows what an
// operator gets to read.
func TestServerErrors(t *testing.T) {
	db := openDB(t, testConfig(t))
	far := db.Keyspace + "_far" // more replicas than nodes: nothing can be written
	change(t, db, db.Dialect.CreateKeyspace(far, map[string]int{db.LocalDC: 2*db.Shards() + 1}))
	t.Cleanup(func() { _ = db.Session.Query("DROP KEYSPACE " + far).Exec() })
	if err := db.Session.Query("CREATE TABLE " + far + ".t (k int PRIMARY KEY, v int)").Exec(); err != nil {
		t.Fatal(err)
	}
	write := Bind("INSERT INTO " + far + ".t (k, v) VALUES (1, 1)")
	read := func(text string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := db.Read(ctx, gocql.Quorum, Bind(text), new(string))
			return err
		}
	}
	for _, tt := range []struct {
		name                string
		request             func(context.Context) error
		code                int
		permanent, rejected bool
		texts               []string
	}{
		{"unavailable for a write", func(ctx context.Context) error { return db.Write(ctx, write) },
			gocql.ErrCodeUnavailable, false, false, []string{"consistency QUORUM, required", "attempts 3"}},
		{"syntax", read("SELEKT"), gocql.ErrCodeSyntax, true, true, []string{"code 0x2000", "attempts 1"}},
		{"no such table", read("SELECT * FROM nothing"), gocql.ErrCodeInvalid, true, true, []string{"code 0x2200", "attempts 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.request(t.Context())
			if err == nil {
				t.Fatal("the server accepted it")
			}
			err = fmt.Errorf("outer: %w", err)
			if code, ok := Code(err); !ok || code != tt.code {
				t.Errorf("code 0x%04x (%t), want 0x%04x", code, ok, tt.code)
			}
			if Permanent(err) != tt.permanent {
				t.Errorf("Permanent = %t", !tt.permanent)
			}
			if Rejected(err) != tt.rejected {
				t.Errorf("Rejected = %t", !tt.rejected)
			}
			if NotSent(err) {
				t.Error("NotSent = true")
			}
			for _, part := range tt.texts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
			var request *RequestError
			addr := db.Session.GetHosts()[0].ConnectAddress().String()
			if !errors.As(err, &request) || !strings.HasPrefix(request.Host, addr+":") {
				t.Errorf("%v does not know the host", err)
			}
			if strings.Contains(err.Error(), addr) {
				t.Errorf("%q tells an address of the database to clients", err)
			}
		})
	}
}

// TestCallerWhoLeaves shows that a request whose caller has left says only that,
// and nothing of what may have been executed.
func TestCallerWhoLeaves(t *testing.T) {
	db := openDB(t, testConfig(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rows := db.Scan(ctx, gocql.One, 10, Bind("SELECT key FROM system.local"))
	if rows.Next(new(string)) {
		t.Error("a row for a caller who has left")
	}
	_, read := db.Read(ctx, gocql.One, Bind("SELECT key FROM system.local"), new(string))
	_, _, cas := db.CAS(ctx, Bind("UPDATE t SET a = 1 WHERE b = 2 IF c = 3"))
	for _, err := range []error{rows.Close(), read, cas} {
		if !errors.Is(err, context.Canceled) || err.Error() != context.Canceled.Error() {
			t.Errorf("%q, want %q", err, context.Canceled)
		}
	}
}

// TestExecuted shows that only an update whose outcome is open is said to may have
// been executed: the driver says it of every request that was sent.
func TestExecuted(t *testing.T) {
	unclear := driversWords(t)
	unavailable := &gocql.RequestErrUnavailable{Consistency: gocql.Serial}
	db := &DB{limit: leastAttempt, health: newHealth(nil, nil, nobody)}
	read := func(ctx context.Context, attempt func(context.Context, time.Duration) error) error {
		return db.repeat(ctx, about{}, attempt)
	}
	update := func(ctx context.Context, attempt func(context.Context, time.Duration) error) error {
		return db.sendOnce(ctx, new(call), attempt)
	}
	for _, tt := range []struct {
		name string
		send func(ctx context.Context, attempt func(context.Context, time.Duration) error) error
		err  error
		want bool
	}{
		{"read without a clear answer", read, unclear, false},
		{"read that is refused", read, unavailable, false},
		{"update without a clear answer", update, unclear, true},
		{"update that is refused", update, unavailable, false},
		{"update that was not sent", update, gocql.ErrNoConnections, false},
	} {
		err := tt.send(t.Context(), func(context.Context, time.Duration) error { return tt.err })
		var failed *RequestError
		if !errors.As(err, &failed) {
			t.Errorf("%s: ended with %v", tt.name, err)
			continue
		}
		for _, text := range []string{err.Error(), failed.detail()} {
			if strings.Contains(text, "may have been executed") != tt.want || strings.Contains(text, "potentially executed") {
				t.Errorf("%s: %q; want it to say that it may have been executed: %t", tt.name, text, tt.want)
			}
		}
	}
	for _, text := range []string{"gocql: unable to connect", "gocql: unable to connect: " + unclear.Error()} {
		if err := (Config{}).explainConnect(errors.New(text), unclear); !strings.Contains(err.Error(), "protocol version") || strings.Contains(err.Error(), "executed") {
			t.Errorf("a connection fails with %q", err)
		}
	}
}

// driversWords is what the driver says of a request that was sent and not
// answered as it should be.
func driversWords(t *testing.T) error {
	t.Helper()
	port := hangsUp(t, "127.0.0.1", func(conn net.Conn, header []byte) {
		header[0] = 0x83 // an answer of another version of the protocol, under the number of the request
		_, _ = conn.Write(header)
	})
	cc, err := Config{Hosts: []string{"127.0.0.1"}, Port: port}.cluster()
	if err != nil {
		t.Fatal(err)
	}
	last := new(lastConnectError)
	cc.ConnectObserver = last
	if _, err := gocql.NewSingleHostQueryExecutor(cc); err == nil {
		t.Fatal("a connection to a server that speaks another version")
	}
	var words *gocql.QueryError
	if err := last.get(); !errors.As(err, &words) || !words.PotentiallyExecuted() {
		t.Fatalf("%T %v", err, err)
	}
	return words
}

// hangsUp is the port of a server at host that reads the header of the first request
// of each connection, gives it to answer, and closes the connection.
func hangsUp(t *testing.T, host string, answer func(conn net.Conn, header []byte)) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			header := make([]byte, 9)
			if _, err := io.ReadFull(conn, header); err == nil {
				answer(conn, header)
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port
}

func TestNotSent(t *testing.T) {
	if !NotSent(fmt.Errorf("wrapped: %w", gocql.ErrNoConnections)) {
		t.Error("no connection: nothing was sent")
	}
	if !Rejected(&gocql.RequestErrUnavailable{Consistency: gocql.Serial}) {
		t.Error("too few replicas for a ballot: nothing was done")
	}
	if Rejected(&gocql.RequestErrUnavailable{Consistency: gocql.Quorum}) {
		t.Error("too few replicas for the commit: the ballot may have passed")
	}
	for _, err := range []error{gocql.ErrTimeoutNoResponse, gocql.ErrConnectionClosed, errors.New("?"), &gocql.RequestErrWriteTimeout{}} {
		if NotSent(err) || Rejected(err) {
			t.Errorf("%T %v: the outcome is open", err, err)
		}
	}
}
