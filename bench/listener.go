package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listener is the process on this machine that listens at an IPv4 address, or at the
// IPv6 one that stands for it.
func listener(host string, port int) (pid int, err error) {
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.Is4() {
		return 0, fmt.Errorf("finding who listens at %s: it is not an IPv4 address", host)
	}
	a := addr.As4()
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], port)
	inode, err := listening(local)
	if err != nil {
		return 0, fmt.Errorf("finding who listens at %s, port %d: %w", host, port, err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, fmt.Errorf("listing the files of processes: %w", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, fmt.Errorf("finding who listens at %s, port %d: no process of this user does", host, port)
}

// listening is the inode of the socket that listens at an address, as the kernel
// writes it.
func listening(local string) (string, error) {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // there may be no IPv6
			return "", fmt.Errorf("reading the sockets: %w", err)
		}
		for line := range bytes.Lines(text) {
			const state, inode, listens = 3, 9, "0A"
			if f := strings.Fields(string(line)); len(f) > inode && f[state] == listens && strings.HasSuffix(f[1], local) {
				return f[inode], nil
			}
		}
	}
	return "", errors.New("no socket does")
}
