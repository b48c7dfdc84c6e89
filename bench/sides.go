package main

import (
	"context"
	"errors"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// sides are two stores that are compared, each in a keyspace of its own.
type sides [2]*load

// openSides opens both, and for each a session that asks how many requests there were.
// configure says what is different about one. The caller closes what is returned, also with
// an error.
func openSides(ctx context.Context, srv *server, set settings, configure func(side int, conf *scyllastate.Config)) (sides, error) {
	var both sides
	holders, err := newPeers(peersInCluster)
	if err != nil {
		return both, err
	}
	for side := range both {
		conf, err := srv.config()
		if err != nil {
			return both, err
		}
		configure(side, conf)
		l := &load{set: set, holders: holders}
		both[side] = l
		if l.store, err = scyllastate.Open(ctx, conf); err != nil {
			return both, err
		}
		if l.db, err = srv.session(ctx, conf); err != nil {
			return both, err
		}
	}
	return both, nil
}

func (s sides) close() error {
	var problems []error
	for _, l := range s {
		if l == nil {
			continue
		}
		if l.db != nil {
			l.db.Close()
		}
		if l.store != nil {
			problems = append(problems, l.store.Close())
		}
	}
	return errors.Join(problems...)
}
