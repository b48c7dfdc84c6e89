package scylla

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Durability is what a client can see of whether acknowledged writes outlast a
// crash of the database: where the replicas of the keyspace are, and what each node
// waits for before it acknowledges a write.
type Durability struct {
	Keyspace string
	// Logged is durable_writes of the keyspace. Without it no write is in a commit
	// log.
	Logged bool
	// Logs are the commit logs of the nodes in data centres that may have replicas.
	Logs []CommitLog

	replicas replicas
	// unread says why the replication was not understood.
	unread  error
	dialect Dialect
}

// CommitLog is what a node does before it acknowledges a write.
type CommitLog struct {
	// Address is that of the node, DC and Rack say where it is.
	Address, DC, Rack string
	// Sync is its commitlog_sync, empty if that is unknown.
	Sync string
	// Synced says that with it a write is on disk before it is acknowledged.
	Synced bool
	// Err says why Sync is unknown: the role may not read it, or the node does not
	// answer.
	Err error
}

// Losses says how one crash can lose writes that were acknowledged, one reason a
// line. It is empty if none can, as far as is known, see Unknown.
//
// A crash is that of one node, or of one rack, whose nodes may lose their power at
// once. It loses a write if the replicas that have forgotten it are a quorum, which
// may answer a read without the others. What Holds says is about replicas that never
// had it.
func (d Durability) Losses() []string {
	if !d.Logged {
		return []string{fmt.Sprintf("writes to the keyspace %s are in no commit log (durable_writes = false): "+
			"ALTER KEYSPACE %s WITH durable_writes = true", d.Keyspace, d.Keyspace)}
	}
	if d.replicas.total == 1 { // wherever it is
		return d.losses(d.Logs, 1, fmt.Sprintf("the keyspace %s has one replica", d.Keyspace))
	}
	var out []string
	for _, p := range d.replicas.places {
		out = append(out, d.losses(d.in(p), p.most, fmt.Sprintf("the rack %s of %s may hold %d of the %d replicas of the keyspace %s",
			p.rack, p.dc, p.most, d.replicas.total, d.Keyspace))...)
	}
	return out
}

// losses says that a crash of nodes which may hold so many replicas of a row loses
// writes, if it does. where says which replicas these are.
func (d Durability) losses(nodes []CommitLog, most int, where string) []string {
	lazy := filter(nodes, CommitLog.lazy)
	if !d.forgets(most, len(lazy)) {
		return nil
	}
	return []string{fmt.Sprintf("%s, and writes are acknowledged before they are on disk (commitlog_sync: %s on %s): %s",
		where, lazy[0].Sync, listNodes(lazy), d.dialect.syncAdvice())}
}

// Unknown says what is not known and decides whether one crash can lose writes that
// were acknowledged. It is empty if there is nothing.
func (d Durability) Unknown() string {
	if d.unread != nil {
		return fmt.Sprintf("where the replicas of the keyspace %s are is not understood: %s", d.Keyspace, d.unread)
	}
	var hidden []CommitLog
	for _, p := range d.replicas.places {
		lazy, unknown := filter(d.in(p), CommitLog.lazy), filter(d.in(p), CommitLog.unknown)
		if !d.forgets(p.most, len(lazy)) && d.forgets(p.most, len(lazy)+len(unknown)) {
			hidden = append(hidden, unknown...)
		}
	}
	var parts []string
	for len(hidden) > 0 {
		why := hidden[0].Err.Error()
		same := filter(hidden, func(l CommitLog) bool { return l.Err.Error() == why })
		hidden = filter(hidden, func(l CommitLog) bool { return l.Err.Error() != why })
		parts = append(parts, fmt.Sprintf("commitlog_sync on %s: %s", listNodes(same), why))
	}
	return strings.Join(parts, "; ")
}

// Holds says what a crash does not lose where there are no Losses and nothing is
// Unknown. A replica that was down or behind, or was never told, forgets nothing and
// does not have the write either: beside it one that has forgotten it makes a quorum.
// So only nodes that have all written it down make that unconditional.
func (d Durability) Holds() string {
	condition := ""
	if slices.ContainsFunc(d.Logs, func(l CommitLog) bool { return !l.Synced }) {
		condition = " as long as every replica had it"
	}
	return fmt.Sprintf("no crash of one node or rack of the database loses what is acknowledged%s (%s)", condition, d)
}

// String says what is known, in a line.
func (d Durability) String() string {
	counts := make(map[string]int)
	var modes []string
	for _, l := range d.Logs {
		mode := l.Sync
		if l.Err != nil {
			mode = "unknown"
		}
		if counts[mode]++; counts[mode] == 1 {
			modes = append(modes, mode)
		}
	}
	for i, mode := range modes {
		modes[i] = fmt.Sprintf("%s on %s", mode, counted(counts[mode], "node"))
	}
	return fmt.Sprintf("%s in %s, commitlog_sync %s",
		counted(d.replicas.total, "replica"), counted(len(d.replicas.places), "rack"), strings.Join(modes, ", "))
}

// forgets reports whether a crash makes a quorum forget a write: that of nodes which
// may hold so many of its replicas, and so many of which may have forgotten it.
func (d Durability) forgets(most, forgetful int) bool {
	return min(most, forgetful) >= d.replicas.quorum()
}

// in returns the nodes of a place.
func (d Durability) in(p place) []CommitLog {
	return filter(d.Logs, func(l CommitLog) bool { return l.DC == p.dc && l.Rack == p.rack })
}

// lazy reports whether the node is known to acknowledge what is not on disk yet.
func (l CommitLog) lazy() bool { return l.Err == nil && !l.Synced }

func (l CommitLog) unknown() bool { return l.Err != nil }

func filter(logs []CommitLog, ok func(CommitLog) bool) []CommitLog {
	return slices.DeleteFunc(slices.Clone(logs), func(l CommitLog) bool { return !ok(l) })
}

// mostNodesNamed bounds a line of the log.
const mostNodesNamed = 5

// listNodes names nodes, or the first of them.
func listNodes(logs []CommitLog) string {
	var names []string
	for _, l := range logs[:min(len(logs), mostNodesNamed)] {
		names = append(names, l.Address)
	}
	text := strings.Join(names, ", ")
	if more := len(logs) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// errNoAnswer is of a node that has not said in time what its settings are.
var errNoAnswer = errors.New("the node does not answer")
