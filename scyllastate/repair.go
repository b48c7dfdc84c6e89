package scyllastate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// repairsEvery is how often it is looked whether the tables are repaired in time.
	repairsEvery = 24 * time.Hour
	// repairsAgain is how soon it is looked again after that has failed. It doubles with
	// each failure.
	repairsAgain = time.Minute
	// toldFailures is how many failures in sequence are told of, once.
	toldFailures = 3
	// leastGrace is the shortest time for which removed rows should be kept: a node is
	// away for so long now and then, and nobody repairs more often.
	leastGrace = 24 * time.Hour
)

// repairedTables are those in which a row that comes back does harm: a pin that was
// removed, and what leads to it. The rows of the other tables run out, or stay.
func repairedTables() []string { return []string{"pins", "placements", "everywhere"} }

// watchRepairs warns, now and once a day, where a pin that was removed may come back
// because replicas are not brought together in time. The peers cannot see that
// otherwise: whoever reads a row that one replica alone has kept is told that it is
// there. It returns when ctx ends.
func (s *Store) watchRepairs(ctx context.Context) {
	lookDaily(ctx, s.db.Keyspace, s.lookAtRepairs)
}

// lookDaily looks now and once a day, and after an error sooner.
func lookDaily(ctx context.Context, keyspace string, look func(context.Context) (unknown, err error)) {
	toldUnknown, failed := false, 0
	for {
		unknown, err := look(ctx)
		wait := repairsEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(repairsAgain<<min(failed, 20), repairsEvery)
			if failed++; failed == toldFailures {
				logger.Warnf("whether the keyspace %s is repaired in time cannot be looked up, %d times in sequence: %s", keyspace, failed, err)
			}
		case unknown != nil && !toldUnknown:
			toldUnknown = true
			logger.Infof("whether the keyspace %s is repaired in time is unknown to this peer (%s): see to it, docs/database.md says how often", keyspace, unknown)
		}
		if err == nil {
			failed = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// lookAtRepairs warns of what is wrong now, and returns why it is not known when the
// tables were repaired.
func (s *Store) lookAtRepairs(ctx context.Context) (unknown, err error) {
	replicas, err := s.db.Replicas(ctx)
	if err != nil || replicas < 2 {
		return nil, err // there is no other replica that could bring anything back
	}
	found, err := s.db.Repairs(ctx, repairedTables()...)
	if err != nil {
		return nil, err
	}
	for _, text := range repairWarnings(found, s.db.Keyspace, s.now()) {
		logger.Warn(text)
	}
	return found.Unknown, nil
}

// repairWarnings says what is wrong with what the database tells. The same of several
// tables is one warning.
func repairWarnings(found scylla.Repairs, keyspace string, now time.Time) []string {
	tables := make(map[string][]string)
	var texts []string
	for _, t := range found.Tables {
		text := repairWarning(t, found, now)
		if text == "" {
			continue
		}
		if tables[text] == nil {
			texts = append(texts, text)
		}
		tables[text] = append(tables[text], keyspace+"."+t.Table)
	}
	for i, text := range texts {
		texts[i] = fmt.Sprintf(text, strings.Join(tables[text], ", "))
	}
	return texts
}

// repairWarning is the warning of one table, with %s for its name, empty if there is
// none.
func repairWarning(t scylla.TableRepair, found scylla.Repairs, now time.Time) string {
	const comesBack = "an unpin that a replica has missed comes back"
	switch t.GC {
	case scylla.GCRepair, scylla.GCDisabled:
		return "" // nothing is dropped that a replica may have missed
	case scylla.GCImmediate:
		return "%s drops what was removed at once (tombstone_gc mode immediate): " + comesBack + "; set the mode repair"
	}
	grace := t.Grace.Round(time.Second)
	if t.Grace < leastGrace {
		return "%s " + fmt.Sprintf("drops what was removed after %s (gc_grace_seconds): %s after that; set 864000, ten days, and repair more often than that", grace, comesBack)
	}
	last := t.Repaired
	if last.IsZero() {
		last = found.Made
	}
	since := now.Sub(last)
	if found.Unknown != nil || last.IsZero() || since < t.Grace-t.Grace/4 {
		return ""
	}
	text := fmt.Sprintf("was repaired completely %s ago", days(since))
	if t.Repaired.IsZero() {
		text = "was not repaired completely as far back as the database remembers"
	}
	if since >= t.Grace {
		return "%s " + text + fmt.Sprintf(", and drops what was removed after %s: %s; repair every node, as with nodetool repair", days(t.Grace), comesBack)
	}
	return "%s " + text + fmt.Sprintf(", and has to be every %s: %s otherwise; repair every node, as with nodetool repair", days(t.Grace), comesBack)
}

// days is a long time in words.
func days(d time.Duration) string { return fmt.Sprintf("%.1f days", d.Hours()/24) }
