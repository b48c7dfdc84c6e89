package scylla

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// dialer makes the connections of a session and remembers them, so that those
// to one address can be closed.
type dialer struct {
	gocql.ScyllaShardAwareDialer

	mu   sync.Mutex
	open map[*connection]struct{}
}

func newDialer(timeout time.Duration) *dialer {
	d := &dialer{open: make(map[*connection]struct{})}
	d.Timeout = timeout
	return d
}

// DialContext is called by the driver.
func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.ScyllaShardAwareDialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	c := &connection{TCPConn: tcp, dialer: d}
	d.mu.Lock()
	d.open[c] = struct{}{}
	d.mu.Unlock()
	return c, nil
}

// cut closes the connections to an address.
func (d *dialer) cut(ip net.IP) {
	d.mu.Lock()
	var to []*connection
	for c := range d.open {
		if addr, ok := c.RemoteAddr().(*net.TCPAddr); ok && addr.IP.Equal(ip) {
			to = append(to, c)
		}
	}
	d.mu.Unlock()
	for _, c := range to {
		_ = c.Close() // the other end does not answer anyway
	}
}

// connection is a connection that its dialer knows. It embeds the type itself,
// not net.Conn: writing several frames at once works for that type only.
type connection struct {
	*net.TCPConn
	dialer *dialer
}

// Close closes the connection.
func (c *connection) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.TCPConn.Close()
}
