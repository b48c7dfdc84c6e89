package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// externalTimeout bounds the wait for a server that CQL_HOSTS names. It is
// said to run already.
const externalTimeout = 30 * time.Second

// Reach returns the server that a list in the form of CQL_HOSTS names, once it
// answers, which it is expected to do at once.
func Reach(ctx context.Context, list string) (*Engine, error) {
	hosts, port, err := parseHosts(list)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, externalTimeout)
	defer cancel()
	product, err := waitCQL(ctx, session(hosts, port), nil)
	if err != nil {
		return nil, fmt.Errorf("no CQL server at CQL_HOSTS=%s: %w", list, err)
	}
	name := os.Getenv("CQL_ENGINE_NAME")
	if name == "" {
		name = fmt.Sprintf("%s (CQL_HOSTS=%s)", product, list)
	}
	return &Engine{name: name, hosts: hosts, port: port}, nil
}

// parseHosts reads a comma list of host or host:port. The ports must be one,
// as the driver knows one port per cluster.
func parseHosts(list string) (hosts []string, port int, err error) {
	port = -1
	for item := range strings.SplitSeq(list, ",") {
		host, p := strings.TrimSpace(item), cqlPort
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			h, s, err := net.SplitHostPort(host)
			if err != nil {
				return nil, 0, fmt.Errorf("CQL_HOSTS=%s: %w", list, err)
			}
			if p, err = strconv.Atoi(s); err != nil || p < 1 || p > 65535 {
				return nil, 0, fmt.Errorf("CQL_HOSTS=%s: port %q is not 1 to 65535", list, s)
			}
			host = h
		}
		if host == "" {
			return nil, 0, fmt.Errorf("CQL_HOSTS=%s: a host is empty", list)
		}
		if port != -1 && p != port {
			return nil, 0, fmt.Errorf("CQL_HOSTS=%s: ports %d and %d differ, all hosts need one port", list, port, p)
		}
		hosts, port = append(hosts, host), p
	}
	return hosts, port, nil
}

// formatHosts is the inverse of parseHosts.
func formatHosts(hosts []string, port int) string {
	if port == cqlPort {
		return strings.Join(hosts, ",")
	}
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = net.JoinHostPort(h, strconv.Itoa(port))
	}
	return strings.Join(out, ",")
}
