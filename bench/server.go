package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// server is the CQL server and the keyspaces that this run has made on it.
type server struct {
	*engine.Engine
	keyspaces []string
}

func openServer(ctx context.Context) (*server, error) {
	// The engines as they come: make bench does the same, see ADR 0019.
	e, err := engine.StartFromEnv(ctx, engine.Options{Periodic: true})
	if err != nil {
		return nil, err
	}
	return &server{Engine: e}, nil
}

// close drops the keyspaces and stops the server if it is ours. It works also
// when the run was interrupted.
func (s *server) close() error {
	err := s.drop()
	return errors.Join(err, s.Stop())
}

func (s *server) drop() error {
	if len(s.keyspaces) == 0 {
		return nil
	}
	session, err := engine.AdminConfig(s.Hosts(), s.Port(), false).CreateSession()
	if err != nil {
		return fmt.Errorf("connecting to drop the keyspaces %v: %w", s.keyspaces, err)
	}
	defer session.Close()
	for _, k := range s.keyspaces {
		if dropErr := session.Query(dropKeyspace + k).Exec(); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("dropping the keyspace %s: %w", k, dropErr))
		}
	}
	s.keyspaces = nil
	return err
}

// config is that of a store in a keyspace that no other run has.
func (s *server) config() (*scyllastate.Config, error) {
	conf := &scyllastate.Config{}
	if err := conf.Default(); err != nil {
		return nil, fmt.Errorf("making the configuration: %w", err)
	}
	conf.Hosts, conf.Port = s.Hosts(), s.Port()
	conf.Keyspace = s.newKeyspace()
	conf.Secret = make([]byte, 32)
	_, _ = rand.Read(conf.Secret) // documented to never fail
	return conf, nil
}

// newKeyspace names a keyspace that no other run has. It is dropped at the end.
func (s *server) newKeyspace() string {
	name := "bench_" + strings.ToLower(rand.Text())
	s.keyspaces = append(s.keyspaces, name)
	return name
}

// session opens a driver session with the settings of a store that has conf,
// and makes the tables.
func (s *server) session(ctx context.Context, conf *scyllastate.Config) (*scylla.DB, error) {
	return scylla.Open(ctx, scylla.Config{
		Hosts: conf.Hosts, Port: conf.Port, Keyspace: conf.Keyspace, CreateKeyspace: true,
		RequestTimeout: conf.RequestTimeout, ConnectTimeout: conf.ConnectTimeout,
	}, func(ctx context.Context, db *scylla.DB) error {
		files, err := scylla.ReadMigrations(schema.Files)
		if err != nil {
			return err
		}
		return db.ApplySchema(ctx, files)
	})
}

// requests is the number of requests that the server has had from sessions in
// the keyspace of db, 0 on an engine that does not count them.
func requests(ctx context.Context, db *scylla.DB) (int64, error) {
	if db.Dialect.Engine != scylla.Cassandra {
		return 0, nil
	}
	var total int64
	for _, h := range db.Session.GetHosts() {
		iter := db.Session.Query(countRequests).WithContext(ctx).Consistency(gocql.One).SetHostID(h.HostID()).Iter()
		var keyspace string
		var count int64
		for iter.Scan(&keyspace, &count) {
			if keyspace == db.Keyspace {
				total += count
			}
			keyspace = ""
		}
		if err := iter.Close(); err != nil {
			return 0, fmt.Errorf("asking %s for its clients: %w", h.ConnectAddress(), err)
		}
	}
	return total, nil
}
