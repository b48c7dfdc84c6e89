package scylla

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

const (
	// settingTime is how long a node may take to answer for its settings. The
	// session may not be connected to all nodes yet.
	settingTime = 10 * time.Second
	// settingPause is the time between two tries.
	settingPause = 250 * time.Millisecond
	// settingsAtOnce is how many nodes are asked at a time.
	settingsAtOnce = 8
)

// Durability asks where the replicas of the keyspace are, and every node of the data
// centres that may have some for its commit log. Eight are asked at a time, and one
// that does not answer is given up after some ten seconds: that is no error, nor is a
// role that may not ask, but part of the result. The nodes are those there were when the session was opened.
func (db *DB) Durability(ctx context.Context) (Durability, error) {
	d := Durability{Keyspace: db.Keyspace, dialect: db.Dialect}
	options, logged, err := db.replication(ctx)
	if err != nil {
		return Durability{}, err
	}
	d.Logged = logged
	d.replicas, d.unread = replicasOf(options, db.nodes)
	used := make(map[string]bool)
	for _, p := range d.replicas.places {
		used[p.dc] = true
	}
	var nodes []node
	for _, n := range db.nodes {
		if used[n.dc] {
			nodes = append(nodes, n)
		}
	}
	d.Logs = db.commitLogs(ctx, nodes)
	return d, nil
}

// commitLogs asks all nodes, some at a time. It returns when ctx ends, without the
// answers of those that have not given any.
func (db *DB) commitLogs(ctx context.Context, nodes []node) []CommitLog {
	type answer struct {
		of  int
		log CommitLog
	}
	answers := make(chan answer, len(nodes)) // nobody may wait any more
	next := make(chan int, len(nodes))
	out := make([]CommitLog, len(nodes))
	for i, n := range nodes {
		out[i] = CommitLog{Address: n.addr, DC: n.dc, Rack: n.rack, Err: errNoAnswer}
		next <- i
	}
	close(next)
	for range min(settingsAtOnce, len(nodes)) {
		go func() {
			for i := range next {
				answers <- answer{i, db.commitLog(ctx, nodes[i])}
			}
		}()
	}
	for range nodes {
		select {
		case a := <-answers:
			out[a.of] = a.log
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// commitLog asks one node.
func (db *DB) commitLog(ctx context.Context, n node) CommitLog {
	out := CommitLog{Address: n.addr, DC: n.dc, Rack: n.rack}
	ask := db.localSetting
	if n.dc != db.LocalDC {
		ask = db.remoteSetting
	}
	value, err := ask(ctx, n)
	if err == nil {
		out.Sync, out.Synced, err = db.Dialect.commitLogSync(value)
	}
	out.Err = err
	return out
}

// localSetting asks a node of the session, which may not be connected to it yet.
func (db *DB) localSetting(ctx context.Context, n node) (string, error) {
	for end := time.Now().Add(settingTime); ; {
		value, err := db.settingOf(ctx, n.id)
		if err == nil || Permanent(err) || time.Until(end) < settingPause {
			return value, db.settingError(err)
		}
		select {
		case <-ctx.Done():
			return "", errNoAnswer
		case <-time.After(settingPause):
		}
	}
}

// settingOf makes one attempt at one node of the session.
func (db *DB) settingOf(ctx context.Context, host string) (value string, err error) {
	err = db.query(ctx, gocql.One, Bind(db.Dialect.selectCommitLogSync()), readingTime).SetHostID(host).Scan(&value)
	return value, err
}

// remoteSetting asks a node that the session has no connection to.
func (db *DB) remoteSetting(ctx context.Context, n node) (value string, err error) {
	c, err := db.conf.dialContact(n.addr, readingTime)
	if err != nil {
		return "", errNoAnswer
	}
	defer c.close()
	err = c.within(ctx, settingTime, func() error {
		iter := c.exec.Iter(db.Dialect.selectCommitLogSync())
		if !iter.Scan(&value) {
			return errors.Join(iter.Close(), gocql.ErrNotFound)
		}
		return iter.Close()
	})
	return value, db.settingError(err)
}

// settingError says why a setting is not known.
func (db *DB) settingError(err error) error {
	var lacks *PermanentError
	switch code, answered := Code(err); {
	case err == nil:
		return nil
	case errors.Is(err, gocql.ErrNotFound):
		return errors.New("the node does not tell it")
	case errors.As(explainRights(err, db.conf.Username, db.Dialect.settingsGrant(db.conf.Username)), &lacks):
		return errors.New(lacks.Text)
	case answered:
		return fmt.Errorf("the node refuses to tell it (code 0x%04x): %w", code, bare(err))
	}
	return errNoAnswer
}
