package cqltest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// Server is a CQL server for tests. Its methods may be called from several
// tests at once.
type Server struct {
	name  string
	hosts []string
	port  int
	auth  bool
	face  *scyllaface.Face // stands before the server if not nil
	pool  *pool            // of the shared server
}

// shared is the server of this test process. A process has one because a
// start costs 11 seconds; nothing but Start and Main touches it.
var shared struct { //nolint:gochecknoglobals // see above
	sync.Mutex
	tried  bool
	engine *engine.Engine
	face   *scyllaface.Face
	err    error
	pool   pool
}

// Start returns the server that all tests of this process share. The first
// call starts it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	if _, err := faceWanted(); err != nil {
		tb.Fatal(err)
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.tried {
		shared.tried = true
		shared.engine, shared.err = engine.StartFromEnv(tb.Context(), engine.Options{Volatile: true})
		if shared.err == nil {
			shared.face, shared.err = faceFromEnv(tb.Context(), shared.engine)
		}
	}
	if shared.err != nil {
		Unavailable(tb, shared.err)
	}
	e := shared.engine
	return &Server{name: e.Name(), hosts: e.Hosts(), port: e.Port(), face: shared.face, pool: &shared.pool}
}

// Main runs the tests of a package and stops the server they shared. Its
// result is for os.Exit. A process that ends without coming here, by a panic
// or a Ctrl-C, takes the server down with it.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil {
		return code
	}
	err := shared.pool.drop()
	if shared.face != nil {
		err = errors.Join(err, shared.face.Close())
	}
	if err := errors.Join(err, shared.engine.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, "cqltest:", err)
		return max(code, 1)
	}
	return code
}

// Required tells whether CQL_REQUIRED=1 forbids to skip a test that has no
// server.
func Required() bool { return os.Getenv("CQL_REQUIRED") == "1" }

// Unavailable ends a test that has no server, or none that it can use.
func Unavailable(tb testing.TB, err error) {
	tb.Helper()
	if Required() {
		tb.Fatalf("no CQL server, and CQL_REQUIRED=1: %v", err)
	}
	tb.Skipf("SKIPPED WITHOUT A CQL SERVER (CQL_REQUIRED=1 makes this a failure): %v", err)
}

// Name says which engine this is, for people.
func (s *Server) Name() string {
	if s.face != nil {
		return s.face.Name()
	}
	return s.name
}

// Hosts are the addresses of all nodes, without port.
func (s *Server) Hosts() []string {
	if s.face != nil {
		return s.face.Hosts()
	}
	return append([]string(nil), s.hosts...)
}

// Port is the CQL port of every node.
func (s *Server) Port() int {
	if s.face != nil {
		return s.face.Port()
	}
	return s.port
}

// Face is what stands before the server, or nil.
func (s *Server) Face() *scyllaface.Face { return s.face }

// Keyspace returns a keyspace name that no other test has. It does not create
// the keyspace. It drops it when the test ends. A test for which tables that are
// there already will do takes Emptied instead.
func (s *Server) Keyspace(tb testing.TB) string {
	tb.Helper()
	name := newName()
	tb.Cleanup(func() {
		session, err := s.config().CreateSession()
		if err != nil {
			tb.Errorf("connect to drop keyspace %s: %v", name, err)
			return
		}
		defer session.Close()
		if err := session.Query("DROP KEYSPACE IF EXISTS " + name).Exec(); err != nil {
			tb.Errorf("drop keyspace %s: %v", name, err)
		}
	})
	return name
}

func newName() string { return "t_" + strings.ToLower(rand.Text()) }

// Session returns an administrative session of one connection to the first
// node, closed when the test ends.
func (s *Server) Session(tb testing.TB) *gocql.Session {
	tb.Helper()
	session, err := s.config().CreateSession()
	if err != nil {
		tb.Fatalf("connect to %s: %v", s.Name(), err)
	}
	tb.Cleanup(session.Close)
	return session
}

func (s *Server) config() *gocql.ClusterConfig {
	return engine.AdminConfig(s.Hosts(), s.Port(), s.auth)
}
