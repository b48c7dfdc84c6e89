package natstest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
)

// link passes TCP connections on to a server until it is cut.
type link struct {
	listener net.Listener
	target   *atomic.Pointer[string] // nil while there is no server
	version  *atomic.Pointer[string] // what the server is said to be, nil for what it says
	group    sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

func newLink(target, version *atomic.Pointer[string]) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a link: %w", err)
	}
	l := &link{listener: listener, target: target, version: version, conns: make(map[net.Conn]struct{})}
	l.group.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return // it was closed
		}
		l.group.Go(func() { l.pass(in) })
	}
}

// pass copies both ways until one side has closed or the link is cut.
func (l *link) pass(in net.Conn) {
	defer in.Close()
	if !l.keep(in) {
		return
	}
	defer l.drop(in)
	target := l.target.Load()
	if target == nil {
		return
	}
	out, err := net.Dial("tcp", *target)
	if err != nil {
		return // the server is down, and who has dialled sees the connection end
	}
	defer out.Close()
	if !l.keep(out) {
		return
	}
	defer l.drop(out)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			l.carry(way[0], way[1]) // ends when either is closed
			_ = in.Close()
			_ = out.Close()
		})
	}
	both.Wait()
}

// carry copies one way, with another version in the lines in which a server tells its own.
func (l *link) carry(to io.Writer, from io.Reader) {
	version := l.version.Load()
	if version == nil {
		_, _ = io.Copy(to, from)
		return
	}
	said := []byte(`"version":"` + *version + `"`)
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadBytes('\n')
		if bytes.HasPrefix(line, []byte("INFO {")) {
			line = saidVersion.ReplaceAllLiteral(line, said)
		}
		if _, failed := to.Write(line); err != nil || failed != nil {
			return
		}
	}
}

var saidVersion = regexp.MustCompile(`"version":"[^"]*"`)

// keep reports whether the link is whole, and notes a connection to close when it is cut.
func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// set cuts the link, with all connections, or heals it.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.conns {
			_ = c.Close()
		}
	}
}

func (l *link) close() {
	_ = l.listener.Close()
	l.set(true)
	l.group.Wait()
}
