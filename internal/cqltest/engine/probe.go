package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
)

// probeInterval is the pause between two questions to a starting server.
const probeInterval = 250 * time.Millisecond

// session gives driver settings for a few administrative queries: hosts are
// used as given, and the driver neither discovers others nor writes to the log.
func session(hosts []string, port int) *gocql.ClusterConfig {
	cfg := gocql.NewCluster(hosts...)
	cfg.Port = port
	cfg.ProtoVersion = 4
	cfg.NumConns = 1
	cfg.Timeout = 60 * time.Second // a schema change on a busy machine takes many seconds
	cfg.ConnectTimeout = 5 * time.Second
	cfg.DisableInitialHostLookup = true
	cfg.DisableShardAwarePort = true
	cfg.ReconnectInterval = 0
	cfg.Events.DisableNodeStatusEvents = true
	cfg.Events.DisableTopologyEvents = true
	cfg.Events.DisableSchemaEvents = true
	cfg.Logger = silent{}
	return cfg
}

// AdminConfig gives driver settings for administrative queries: one
// connection to the first host, generous timeouts, no discovery of other
// nodes, no log. With auth set it logs in as [Superuser].
func AdminConfig(hosts []string, port int, auth bool) *gocql.ClusterConfig {
	cfg := session(hosts[:1], port)
	if auth {
		cfg.Authenticator = gocql.PasswordAuthenticator{Username: Superuser, Password: SuperuserPassword}
	}
	return cfg
}

// silent is a driver logger that writes nothing: a server that is not up yet
// is what a probe expects.
type silent struct{}

func (silent) Print(...any)          {}
func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// waitCQL asks until a query succeeds and returns the name and version of the
// server. It gives up when ctx ends or when died is closed.
func waitCQL(ctx context.Context, cfg *gocql.ClusterConfig, died <-chan struct{}) (product string, err error) {
	err = insist(ctx, died, func() (err error) {
		product, err = askCQL(ctx, cfg)
		return err
	})
	return product, err
}

// insist calls ask until it has no error. It gives up when ctx ends or when died
// is closed.
func insist(ctx context.Context, died <-chan struct{}, ask func() error) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-died:
			return errors.New("the server process has ended")
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func askCQL(ctx context.Context, cfg *gocql.ClusterConfig) (string, error) {
	s, err := cfg.CreateSession()
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer s.Close()
	local := make(map[string]any)
	if err := s.Query("SELECT * FROM system.local").WithContext(ctx).MapScan(local); err != nil {
		return "", fmt.Errorf("select: %w", err)
	}
	if _, found := local["supported_features"]; !found { // only ScyllaDB has this column
		return fmt.Sprintf("Apache Cassandra %v", local["release_version"]), nil
	}
	product, version := "ScyllaDB", ""
	if s.Query("SELECT version FROM system.versions LIMIT 1").WithContext(ctx).Scan(&version) == nil {
		product += " " + version // superusers learn it
	}
	return product, nil
}

// waitPeers asks a node until it knows the nodes at the given addresses and no
// others.
func waitPeers(ctx context.Context, cfg *gocql.ClusterConfig, want []string, died <-chan struct{}) error {
	want = slices.Sorted(slices.Values(want))
	return insist(ctx, died, func() error { return askPeers(ctx, cfg, want) })
}

// askPeers connects each time: a node that lets nobody in for a while, because
// the replica of its roles is being moved, is asked again too.
func askPeers(ctx context.Context, cfg *gocql.ClusterConfig, want []string) error {
	s, err := cfg.CreateSession()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer s.Close()
	var known []string
	var peer string
	rows := s.Query("SELECT peer FROM system.peers_v2").WithContext(ctx).Iter()
	for rows.Scan(&peer) {
		known = append(known, peer)
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("select: %w", err)
	}
	slices.Sort(known)
	if !slices.Equal(known, want) {
		return fmt.Errorf("node knows the other nodes %v, want %v", known, want)
	}
	return nil
}
