package scylla

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// databaseName is a host name whose addresses a test decides.
const databaseName = "database.test"

// names is a DNS server that knows databaseName and nothing else.
type names struct{ addrs atomic.Pointer[[]string] }

// startNames makes a DNS server of the test that of the process, until the
// test ends. No other test may resolve names meanwhile. The server of the test
// starts later: a face before it dials too, and must not see the change.
func startNames(t *testing.T) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{}
	n.set(nil)
	done := make(chan error)
	go func() { done <- n.serve(conn) }()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
		},
	}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n
}

// set changes the addresses of databaseName.
func (n *names) set(addrs []string) { n.addrs.Store(&addrs) }

// serve answers until conn is closed.
func (n *names) serve(conn net.PacketConn) error {
	buf := make([]byte, 512)
	for {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			return nil
		}
		answer, err := n.answer(buf[:size])
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(answer, from); err != nil {
			return nil
		}
	}
}

func (n *names) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	q := m.Questions[0]
	if q.Name.String() != databaseName+"." {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	for _, addr := range *n.addrs.Load() {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(addr).To4())},
			})
		}
	}
	return m.Pack()
}
