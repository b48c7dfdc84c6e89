package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// Kind names an engine, in the values that the variable DEMO_ENGINE takes.
type Kind string

// The engines. Any prefers ScyllaDB and falls back to Cassandra.
const (
	Any       Kind = ""
	Scylla    Kind = "scylla"
	Cassandra Kind = "cassandra"
)

// Options say which server is wanted. The zero value is one node of any kind
// without authentication.
type Options struct {
	Kind  Kind
	Nodes int // 1 to 6; 0 means 1
	DCs   int // 1 to 3 and at most Nodes; 0 means 1. Node i is in dc<i mod DCs + 1>
	// Auth turns on PasswordAuthenticator and CassandraAuthorizer. The
	// superuser is [Superuser] with [SuperuserPassword].
	Auth bool
	// Dir is where a Cassandra keeps its data, which outlast it: a later start
	// with the same directory, Nodes and DCs goes on with them. Empty means a
	// directory of its own that Stop removes.
	Dir string
	// Periodic lets a server acknowledge writes before they are on disk
	// (commitlog_sync: periodic), as both engines do unless told otherwise: it is
	// faster, and a Cassandra that is killed has forgotten the last tenth of a
	// second, one whose machine dies the last ten seconds. Else each write waits
	// for the disk (batch), which is what docs/database.md recommends.
	Periodic bool
	// Volatile, which implies Periodic, lets a Cassandra keep changes of the schema and of its own tables
	// in memory and in its commit log, where it otherwise flushes them to disk
	// one by one. It is for servers that are thrown away: a node that is killed
	// may forget tables, and bring back rows from before a TRUNCATE.
	Volatile bool
	// NoHints lets a Cassandra keep nothing for nodes that are away: they miss what is
	// written meanwhile.
	NoHints bool
	// Progress gets a line per step of a start. Nil discards them.
	Progress io.Writer
}

// The superuser that a Cassandra with Options.Auth creates.
const (
	Superuser         = "cassandra"
	SuperuserPassword = "cassandra"
)

// OptionsFromEnv reads DEMO_ENGINE, CQL_NODES and CQL_DCS. Unset means the
// default.
func OptionsFromEnv() (Options, error) {
	o := Options{Kind: Kind(os.Getenv("DEMO_ENGINE"))}
	for _, v := range []struct {
		name string
		into *int
	}{{"CQL_NODES", &o.Nodes}, {"CQL_DCS", &o.DCs}} {
		s := os.Getenv(v.name)
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return Options{}, fmt.Errorf("%s=%q is not a number", v.name, s)
		}
		*v.into = n
	}
	return o.withDefaults()
}

// StartTimeout bounds the start of a server, the download of what it needs
// included.
const StartTimeout = 10 * time.Minute

// StartFromEnv starts the server that the environment asks for and tells of its
// progress on stderr. Dir, Periodic and Volatile are those of opts.
func StartFromEnv(ctx context.Context, opts Options) (*Engine, error) {
	env, err := OptionsFromEnv()
	if err != nil {
		return nil, err
	}
	env.Dir, env.Periodic, env.Volatile, env.Progress = opts.Dir, opts.Periodic, opts.Volatile, os.Stderr
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	return Start(ctx, env)
}

func (o Options) withDefaults() (Options, error) {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.DCs == 0 {
		o.DCs = 1
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.Periodic = o.Periodic || o.Volatile
	switch {
	case o.Kind != Any && o.Kind != Scylla && o.Kind != Cassandra:
		return o, fmt.Errorf("engine %q is unknown: DEMO_ENGINE takes %q or %q", o.Kind, Scylla, Cassandra)
	case o.Nodes < 1 || o.Nodes > 6:
		return o, fmt.Errorf("%d nodes: CQL_NODES takes 1 to 6", o.Nodes)
	case o.DCs < 1 || o.DCs > 3 || o.DCs > o.Nodes:
		return o, fmt.Errorf("%d datacenters for %d nodes: CQL_DCS takes 1 to 3 and no more than the nodes", o.DCs, o.Nodes)
	}
	return o, nil
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, format+"\n", args...)
}

// Engine is a CQL server that answers queries.
type Engine struct {
	name  string
	hosts []string
	port  int
	stop  func() error // nil if the server is not ours
	// cassandra is nil unless the server is one of ours.
	cassandra *CassandraCluster
}

// Start returns a server that answers, within the time that ctx allows. It
// takes the one that CQL_HOSTS names whatever opts ask for; else it starts
// the kind that opts name.
func Start(ctx context.Context, opts Options) (*Engine, error) {
	if list := os.Getenv("CQL_HOSTS"); list != "" {
		return Reach(ctx, list)
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.Kind != Cassandra {
		e, err := startScylla(ctx, opts)
		if err == nil {
			return e, nil
		}
		if opts.Kind == Scylla {
			return nil, err
		}
		if !errors.Is(err, errNoDocker) {
			opts.say("ScyllaDB did not start, going on with Cassandra: %v", err)
		}
	}
	c, err := Reserve(opts)
	if err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return &Engine{name: c.Name(), hosts: c.Hosts(), port: c.Port(), stop: c.Stop, cassandra: c}, nil
}

// Name says what the server is, for people.
func (e *Engine) Name() string { return e.name }

// Hosts are the addresses of all nodes, without port.
func (e *Engine) Hosts() []string { return append([]string(nil), e.hosts...) }

// Port is the CQL port of every node.
func (e *Engine) Port() int { return e.port }

// Address is the value of CQL_HOSTS that names this server.
func (e *Engine) Address() string { return formatHosts(e.hosts, e.port) }

// Ours tells whether Stop ends the server: CQL_HOSTS has not named it.
func (e *Engine) Ours() bool { return e.stop != nil }

// Dead are the addresses of the nodes whose process has ended. Only a Cassandra
// of ours tells.
func (e *Engine) Dead() []string {
	if e.cassandra == nil {
		return nil
	}
	return e.cassandra.Dead()
}

// Revive starts the nodes again that are dead, at the same addresses and with
// the same data, and returns when they answer.
func (e *Engine) Revive(ctx context.Context) error {
	if e.cassandra == nil {
		return nil
	}
	return e.cassandra.Revive(ctx)
}

// Stop ends the server and removes its data, but for those in Options.Dir. It
// leaves alone a server that CQL_HOSTS named.
func (e *Engine) Stop() error {
	if e.stop == nil {
		return nil
	}
	return e.stop()
}
