package scylla

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// readingValid is how long a reading counts for a node that does not answer any more.
const readingValid = 5 * time.Minute

// clocks remembers what the nodes' clocks have said. It is safe for concurrent use.
type clocks struct {
	mu    sync.Mutex
	start time.Time
	// said is by host, nodes is how many there are in a data centre.
	said  map[string]said
	nodes map[string]int
	// failed is why a node of a data centre was not read, the last time that one was not.
	failed map[string]error
	// asked is set once a measurement was made, and told are the data centres of which
	// it was told that their time is not known.
	asked bool
	// remoteAt is when nodes of other data centres were last asked and waited for, nil
	// if they never were.
	remoteAt *time.Duration
	told     map[string]bool
}

// said is what a node's clock said, and when by the steady clock of this machine.
type said struct {
	dc   string
	time time.Time
	at   time.Duration
}

// patience is how long nodes of other data centres are waited for. The caller begins a
// measurement.
func (c *clocks) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return remoteTime
	}
	c.asked = true
	return readingTime
}

// now returns the time by the clock of this machine, which can be set, and by the steady
// one. The caller holds the lock.
func (c *clocks) now() (wall time.Time, steady time.Duration) {
	if c.start.IsZero() {
		c.start = time.Now()
		c.said, c.nodes = make(map[string]said), make(map[string]int)
		c.failed, c.told = make(map[string]error), make(map[string]bool)
	}
	return time.Now().Round(0), time.Since(c.start)
}

// remoteDue reports whether nodes of other data centres are to be asked: after a while, and
// at once as long as the clocks are apart, or what a data centre has said is of before it was
// last asked. One that was silent for so long that it does not count is left until it is due.
// That it is noted only if they will be waited for: else they may not have the time to answer.
func (c *clocks) remoteDue(local string, waits bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.now()
	return c.remoteDueAt(local, waits, wall, steady)
}

// remoteDueAt is remoteDue for one who holds the lock, at a moment.
func (c *clocks) remoteDueAt(local string, waits bool, wall time.Time, steady time.Duration) bool {
	known := c.knownAt(local, wall, steady)
	newest := make(map[string]time.Duration)
	for _, r := range known {
		newest[r.dc] = max(newest[r.dc], c.said[r.host].at)
	}
	due := c.remoteAt == nil || steady-*c.remoteAt >= RemoteEvery || skewOf(known, c.nodes).Spread > outlier
	for dc, at := range newest {
		due = due || dc != local && at < *c.remoteAt
	}
	if due && waits {
		c.remoteAt = &steady
	}
	return due
}

// add takes a reading that was made just now.
func (c *clocks) add(r reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.now()
	if r.err != nil {
		c.failed[r.dc] = r.err
		return
	}
	c.said[r.host] = said{r.dc, wall.Add(-r.skew), steady}
}

// count takes how many nodes the local data centre has.
func (c *clocks) count(local string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	c.nodes[local] = n
}

// countOthers takes which nodes the other data centres have.
func (c *clocks) countOthers(local string, byDC map[string][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	maps.DeleteFunc(c.nodes, func(dc string, _ int) bool { return dc != local })
	for dc, hosts := range byDC {
		c.nodes[dc] = len(hosts)
	}
}

// known returns what the clocks would say now, as far as that is known: of all nodes of
// the local data centre, and of those of another one that were read last, of as many as
// one measurement reads. It returns how many nodes each has.
func (c *clocks) known(local string) ([]reading, map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.now()
	return c.knownAt(local, wall, steady), maps.Clone(c.nodes)
}

// knownAt is known for one who holds the lock, at a moment.
func (c *clocks) knownAt(local string, wall time.Time, steady time.Duration) []reading {
	byDC := make(map[string][]string)
	for host, s := range c.said {
		if steady-s.at > readingValid {
			delete(c.said, host)
			continue
		}
		byDC[s.dc] = append(byDC[s.dc], host)
	}
	var out []reading
	for dc, hosts := range byDC {
		slices.SortFunc(hosts, func(a, b string) int { return cmp.Compare(c.said[b].at, c.said[a].at) })
		if dc != local {
			hosts = hosts[:min(remoteReadings, len(hosts))]
		}
		for _, host := range hosts {
			s := c.said[host]
			out = append(out, reading{host: host, dc: dc, skew: wall.Sub(s.time.Add(steady - s.at))})
		}
	}
	return out
}

// unread says, once, of which other data centres no node was read for some minutes, and
// why not.
func (c *clocks) unread(local string) (texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	read := make(map[string]bool)
	for _, s := range c.said {
		read[s.dc] = true
	}
	for dc := range c.nodes {
		switch {
		case dc == local:
		case read[dc]:
			c.told[dc] = false
		case !c.told[dc]:
			c.told[dc] = true
			texts = append(texts, fmt.Sprintf("the time of data centre %s is not known, and not compared with that of the others: none of its nodes has answered (%v)", dc, c.failed[dc]))
		}
	}
	return texts
}

// skewOf sums up readings of at least one node. Of an even number of nodes that are
// half and half apart nobody can tell which half is right: both medians count. A data
// centre that is so while others of its nodes are silent says nothing, if another one
// does.
func skewOf(of []reading, nodes map[string]int) Skew {
	byDC := skewsOf(of)
	var torn []string
	for dc, skews := range byDC {
		if lower, upper := medians(skews); upper-lower > outlier && len(skews) < min(nodes[dc], remoteReadings) {
			torn = append(torn, dc)
		}
	}
	if len(torn) < len(byDC) {
		for _, dc := range torn {
			delete(byDC, dc)
		}
	}
	var least, most time.Duration
	var leastOf, mostOf string
	for dc, skews := range byDC {
		lower, upper := medians(skews)
		if leastOf == "" || lower < least {
			least, leastOf = lower, dc
		}
		if mostOf == "" || upper > most {
			most, mostOf = upper, dc
		}
	}
	out := Skew{Ahead: least + (most-least)/2, Spread: most - least}
	if out.Spread > 0 {
		out.Between = between(leastOf, mostOf)
	}
	return out
}

// strays says of which nodes that have answered the clock differs from those of their
// data centre, and of which data centres it does from another one.
func strays(answered, known []reading) (texts []string) {
	byDC := skewsOf(known)
	middle := func(dc string) time.Duration {
		lower, upper := medians(byDC[dc])
		return lower + (upper-lower)/2
	}
	for _, r := range answered {
		if off := middle(r.dc) - r.skew; off.Abs() > outlier {
			texts = append(texts, fmt.Sprintf("the clock of node %s differs by %s from those of data centre %s", r.host, off.Round(time.Millisecond), r.dc))
		}
	}
	for dc := range byDC {
		for other := range byDC {
			if off := middle(dc) - middle(other); off > 2*outlier {
				texts = append(texts, fmt.Sprintf("the clocks of %s differ by %s: beyond a second nothing is written", between(dc, other), off.Round(time.Millisecond)))
			}
		}
	}
	return texts
}

func skewsOf(of []reading) map[string][]time.Duration {
	byDC := make(map[string][]time.Duration)
	for _, r := range of {
		byDC[r.dc] = append(byDC[r.dc], r.skew)
	}
	return byDC
}

// between names the data centres whose clocks differ.
func between(one, other string) string {
	if one == other {
		return "the nodes of data centre " + one
	}
	return fmt.Sprintf("the data centres %s and %s", min(one, other), max(one, other))
}

// medians returns the lower and the upper median.
func medians(of []time.Duration) (lower, upper time.Duration) {
	slices.Sort(of)
	return of[(len(of)-1)/2], of[len(of)/2]
}
