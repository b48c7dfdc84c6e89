package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/scylladb"
)

const (
	scyllaImage = "scylladb/scylla:2025.4.1"
	// scyllaTimeout bounds the start of the container, the download of the
	// image included.
	scyllaTimeout = 180 * time.Second
	// pingTimeout bounds the question whether a Docker daemon is there.
	pingTimeout = 2 * time.Second
)

// errNoDocker says that no Docker daemon answers, which is nothing to report
// when another engine will do.
var errNoDocker = errors.New("no Docker daemon answers")

// startScylla starts one ScyllaDB node in a container: one shard, 512 MB,
// developer mode, by the defaults of the testcontainers module. The address
// is the container's own, which a Linux host reaches and which is the one the
// driver learns from the server.
func startScylla(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Nodes > 1 || opts.Auth {
		return nil, errors.New("ScyllaDB by Docker is one node without authentication here; use Cassandra for more")
	}
	if err := pingDocker(ctx); err != nil {
		return nil, err
	}
	opts.say("starting %s with Docker (at most %s)", scyllaImage, scyllaTimeout)
	ctx, cancel := context.WithTimeout(ctx, scyllaTimeout)
	defer cancel()
	sync := "batch"
	if opts.Periodic {
		sync = "periodic"
	}
	container, err := scylladb.Run(ctx, scyllaImage, scylladb.WithCustomCommands("--commitlog-sync="+sync))
	stop := func() error {
		if container == nil {
			return nil
		}
		return testcontainers.TerminateContainer(container.Container)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", scyllaImage, err), stop())
	}
	host, err := container.ContainerIP(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address of %s: %w", scyllaImage, err), stop())
	}
	product, err := waitCQL(ctx, session([]string{host}, cqlPort), nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not answer CQL: %w", scyllaImage, err), stop())
	}
	return &Engine{name: product + " (Docker)", hosts: []string{host}, port: cqlPort, stop: stop}, nil
}

// pingDocker asks the daemon that DOCKER_HOST names, else the usual socket,
// whether it is there. A daemon behind TLS counts as absent.
func pingDocker(ctx context.Context) error {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(host)
	if err != nil {
		return fmt.Errorf("%w: DOCKER_HOST=%s: %w", errNoDocker, host, err)
	}
	network, address := "tcp", u.Host
	if u.Scheme == "unix" {
		network, address = "unix", u.Path
	}
	client := http.Client{
		Timeout: pingTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDocker, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDocker, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: it says %s", errNoDocker, resp.Status)
	}
	return nil
}
