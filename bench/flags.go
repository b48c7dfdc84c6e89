package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// command is what the command line asks for.
type command struct {
	set            settings
	quick          bool
	only           string
	service, stock string // programs
	out            string
}

// parts are what -only can name.
func parts() []string {
	return []string{"peer", "peers", "own", "store", "measured", "events", "relay", "wake", "gateway", "ingest", "expiry", "migrate"}
}

// parse reads the command line. An error matches flag.ErrHelp if help was asked for.
func parse(args []string) (*command, error) {
	c := &command{}
	var given settings
	sizes := ""
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&c.quick, "quick", false, "small sizes, to see that the bench works; its figures mean nothing")
	flags.StringVar(&c.only, "only", "", "run one part: "+strings.Join(parts(), ", "))
	flags.StringVar(&c.service, "service", "bin/ipfs-cluster-service", "the `program` to measure")
	flags.StringVar(&c.stock, "stock", "bin/stock/ipfs-cluster-service", "upstream's `program`, for the part peers; empty: none")
	flags.StringVar(&c.out, "out", "bench/out/latest.json", "`file` for the report as JSON")
	flags.StringVar(&sizes, "peers", "", "`sizes` of the clusters of the part peers, such as 1,4,8")
	flags.StringVar(&given.Profiles, "profiles", "", "`folder` for a profile of one peer of each cluster")
	numbers := map[string]*int{"pins": &given.Pins, "cluster-pins": &given.ClusterPins, "cluster-rounds": &given.ClusterRounds, "own": &given.Own}
	usual := defaults()
	number := func(to *int, name, usage string, usual int) {
		flags.IntVar(to, name, 0, fmt.Sprintf("%s (default %d)", usage, usual))
	}
	number(&given.Pins, "pins", "pins of another peer in the full keyspace of the part peer", usual.Pins)
	number(&given.ClusterPins, "cluster-pins", "pins of a turn of the part peers", usual.ClusterPins)
	number(&given.ClusterRounds, "cluster-rounds", "turns of each side of the part peers", usual.ClusterRounds)
	number(&given.Own, "own", "pins of the peer of the part own", usual.Own)
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("reading the flags: %w", err)
	}
	wrong := fmt.Errorf("cannot use %q: numbers are above 0, -only is one of %s, and there are no arguments", args, strings.Join(parts(), ", "))
	if flags.NArg() > 0 || c.only != "" && !slices.Contains(parts(), c.only) {
		return nil, wrong
	}
	for s := range strings.SplitSeq(sizes, ",") {
		if sizes == "" {
			break
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, wrong
		}
		given.Peers = append(given.Peers, n)
	}
	var err error
	flags.Visit(func(f *flag.Flag) {
		if n := numbers[f.Name]; n != nil && *n < 1 {
			err = wrong
		}
	})
	c.set = defaults()
	if c.quick {
		c.set = quick()
	}
	c.set.override(given)
	return c, err
}

// override takes what was given.
func (s *settings) override(given settings) {
	for _, n := range []struct {
		to    *int
		given int
	}{{&s.Pins, given.Pins}, {&s.ClusterPins, given.ClusterPins}, {&s.ClusterRounds, given.ClusterRounds}, {&s.Own, given.Own}} {
		if n.given != 0 {
			*n.to = n.given
		}
	}
	if given.Peers != nil {
		s.Peers = given.Peers
	}
	s.Profiles = given.Profiles
}
