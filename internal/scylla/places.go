package scylla

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gocql/gocql"
)

const selectReplication = "SELECT replication, durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?"

// replication asks for the replication of the keyspace, as the servers keep it, and
// whether writes go to a commit log.
func (db *DB) replication(ctx context.Context) (options map[string]string, logged bool, err error) {
	found, err := db.Read(ctx, gocql.One, Bind(selectReplication, db.Keyspace), &options, &logged)
	if err == nil && !found {
		err = errors.New("there is no such keyspace")
	}
	if err != nil {
		return nil, false, fmt.Errorf("asking for the replication of the keyspace %s: %w", db.Keyspace, err)
	}
	return options, logged, nil
}

// place is a rack: what is taken to fail at once, as by a loss of power.
type place struct {
	dc, rack string
	// most is how many replicas of one row it may hold.
	most int
}

// replicas are those of a keyspace: how many a row has, and the places in which
// they are, in order.
type replicas struct {
	total  int
	places []place
}

// quorum is how many replicas acknowledge a write, and answer a read.
func (r replicas) quorum() int { return r.total/2 + 1 }

// replicasOf works out from the replication of a keyspace, as the servers keep it,
// how many replicas of a row one rack may hold.
func replicasOf(replication map[string]string, nodes []node) (replicas, error) {
	class := replication["class"]
	class = class[strings.LastIndexByte(class, '.')+1:]
	switch class {
	case "NetworkTopologyStrategy":
		return replicasByDC(replication, nodes)
	case "SimpleStrategy": // it does not look at racks
		n, err := strconv.Atoi(replication["replication_factor"])
		if err != nil {
			return replicas{}, fmt.Errorf("its replication factor %q is not a number", replication["replication_factor"])
		}
		return replicas{n, placesOf(nodes, func(string, int) int { return n })}, nil
	case "EverywhereStrategy":
		return replicas{len(nodes), placesOf(nodes, func(string, int) int { return len(nodes) })}, nil
	}
	return replicas{}, fmt.Errorf("its replication strategy %q is not known here", class)
}

// replicasByDC is replicasOf for NetworkTopologyStrategy: the replicas of a data
// centre are in different racks as long as there are any, and anywhere then.
func replicasByDC(replication map[string]string, nodes []node) (replicas, error) {
	var out replicas
	wanted := make(map[string]int)
	for dc, value := range replication {
		if dc == "class" {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return replicas{}, fmt.Errorf("its number of replicas in %s, %q, is not a number", dc, value)
		}
		wanted[dc] = n
		out.total += n
	}
	out.places = placesOf(nodes, func(dc string, racks int) int {
		if wanted[dc] == 0 {
			return 0
		}
		return 1 + max(0, wanted[dc]-racks)
	})
	return out, nil
}

// placesOf returns the racks that may hold replicas. most says how many one rack of
// a data centre with so many of them may hold if it has nodes enough.
func placesOf(nodes []node, most func(dc string, racks int) int) []place {
	var out []place
	for _, dc := range dataCentres(nodes) {
		in := racks(nodes, dc)
		for rack, count := range in {
			if n := min(count, most(dc, len(in))); n > 0 {
				out = append(out, place{dc, rack, n})
			}
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		if c := strings.Compare(a.dc, b.dc); c != 0 {
			return c
		}
		return strings.Compare(a.rack, b.rack)
	})
	return out
}
