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
	c := &connection{TCPConn: tcp, dialer: d, source: gocql.ScyllaGetSourcePort(ctx)}
	d.mu.Lock()
	d.open[c] = struct{}{}
	d.mu.Unlock()
	return c, nil
}

// cut closes the connections to an address and returns how many.
func (d *dialer) cut(ip net.IP) int {
	var to []*connection
	d.each(func(c *connection) {
		if addr, ok := c.RemoteAddr().(*net.TCPAddr); ok && addr.IP.Equal(ip) {
			to = append(to, c)
		}
	})
	for _, c := range to {
		_ = c.Close() // the other end does not answer anyway
	}
	return len(to)
}

// each calls f, which neither opens nor closes one, with each open connection.
func (d *dialer) each(f func(*connection)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		f(c)
	}
}

// connection is a connection that its dialer knows. It embeds the type itself,
// not net.Conn: writing several frames at once works for that type only.
type connection struct {
	*net.TCPConn
	dialer *dialer
	// source is the port of this end if that chose the shard, else zero.
	source uint16
}

// Close closes the connection.
func (c *connection) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.TCPConn.Close()
}
