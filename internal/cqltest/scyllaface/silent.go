package scyllaface

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// silentPort is a port to which connections take for ever. It listens and
// accepts nothing: Linux answers no SYN once the few connections that may wait
// for that are there.
type silentPort struct {
	socket  int
	waiting []net.Conn
}

const (
	// fillTimeout is long for a connection on one machine.
	fillTimeout = 250 * time.Millisecond
	// maxFill is more than may wait at a socket that is told to let none.
	maxFill = 8
)

func openSilentPort(at netip.AddrPort) (*silentPort, error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	s := &silentPort{socket: socket}
	if err := s.fill(at); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// fill listens and connects until nobody answers.
func (s *silentPort) fill(at netip.AddrPort) error {
	err := errors.Join(
		unix.SetsockoptInt(s.socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), // old connections are still there
		unix.Bind(s.socket, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}),
		unix.Listen(s.socket, 0),
	)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", at, err)
	}
	for range maxFill {
		conn, err := net.DialTimeout("tcp4", at.String(), fillTimeout)
		if os.IsTimeout(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill the queue of %s: %w", at, err)
		}
		s.waiting = append(s.waiting, conn)
	}
	return fmt.Errorf("%s answers although %d connections wait", at, maxFill)
}

func (s *silentPort) close() {
	for _, conn := range s.waiting {
		conn.Close() //nolint:errcheck // nothing was sent
	}
	unix.Close(s.socket) //nolint:errcheck // nothing was accepted
}
