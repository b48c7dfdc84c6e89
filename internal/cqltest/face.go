package cqltest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// faceTimeout bounds the opening of a face before a server that answers.
const faceTimeout = 30 * time.Second

// StartFace is StartOwn with a face of ScyllaDB before the Cassandra, whatever
// CQL_FACE says. Name, Nodes and Port of the options are set here. Tests break
// its nodes by way of Face.
func StartFace(tb testing.TB, opts engine.Options, face scyllaface.Options) *Own {
	tb.Helper()
	o := reserve(tb, opts)
	o.reserveFace(tb, face)
	o.Run(tb)
	return o
}

// reserveFace puts a face before the server. It closes before the server stops.
func (o *Own) reserveFace(tb testing.TB, opts scyllaface.Options) {
	tb.Helper()
	opts.Name, opts.Nodes, opts.Port = o.name, o.hosts, o.port
	face, err := scyllaface.Reserve(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := face.Close(); err != nil {
			tb.Error(err)
		}
	})
	o.face = face
}

// faceWanted tells whether CQL_FACE asks for a face.
func faceWanted() (bool, error) {
	switch v := os.Getenv("CQL_FACE"); v {
	case "":
		return false, nil
	case "scylla":
		return true, nil
	default:
		return false, fmt.Errorf("CQL_FACE=%s is unknown: it takes scylla, for a face of ScyllaDB before Cassandra", v)
	}
}

// faceFromEnv puts a face before a server if CQL_FACE asks for one, else it
// returns nil.
func faceFromEnv(ctx context.Context, e *engine.Engine) (*scyllaface.Face, error) {
	wanted, err := faceWanted()
	if err != nil || !wanted {
		return nil, err
	}
	face, err := scyllaface.Reserve(scyllaface.Options{Name: e.Name(), Nodes: e.Hosts(), Port: e.Port()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, faceTimeout)
	defer cancel()
	if err := face.Listen(ctx); err != nil {
		face.Close() //nolint:errcheck // the other error is the one to tell
		return nil, err
	}
	return face, nil
}
