package scylla

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSkewOf shows what the answers of nodes come to: a wrong one among three counts
// for nothing, two halves that contradict each other and data centres that do so
// are apart.
func TestSkewOf(t *testing.T) {
	const second = time.Second
	at := func(dc string, skews ...time.Duration) (out []reading) {
		for _, skew := range skews {
			out = append(out, reading{dc: dc, skew: skew})
		}
		return out
	}
	const theNodes, dataCentres = "the nodes of data centre a", "the data centres a and b"
	for _, tt := range []struct {
		name string
		of   []reading
		want Skew
	}{
		{"one node", at("a", second), Skew{Ahead: second}},
		{"three that agree", at("a", second, second, second), Skew{Ahead: second}},
		{"one of three is wrong", at("a", 0, -5*second, 0), Skew{}},
		{"one of two is wrong", at("a", 0, -2*second), Skew{Ahead: -second, Spread: 2 * second, Between: theNodes}},
		{"half of four are wrong", at("a", 0, 2*second, 0, 2*second), Skew{Ahead: second, Spread: 2 * second, Between: theNodes}},
		{"data centres that agree", append(at("a", 0, 0, 0), at("b", 0)...), Skew{}},
		{"another data centre", append(at("a", 0, 0, 0), at("b", -2*second)...), Skew{Ahead: -second, Spread: 2 * second, Between: dataCentres}},
		{"another data centre, behind", append(at("a", 0, 0, 0), at("b", 2*second, 2*second)...), Skew{Ahead: second, Spread: 2 * second, Between: dataCentres}},
		{"one wrong node of another data centre", append(at("a", 0, 0, 0), at("b", 0, 2*second, 0)...), Skew{}},
		{
			"three data centres, the outer two count",
			append(append(at("b", second), at("a", 0, 0, 0)...), at("c", 4*second, 4*second, 4*second)...),
			Skew{Ahead: 2 * second, Spread: 4 * second, Between: "the data centres a and c"},
		},
	} {
		nodes := make(map[string]int)
		for _, r := range tt.of {
			nodes[r.dc]++
		}
		if got := skewOf(tt.of, nodes); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	// Where one of three has been silent for long, two that contradict each other say
	// nothing if another data centre does.
	torn, three := at("a", 0, -2*second), map[string]int{"a": 3, "b": 3}
	if got, want := skewOf(torn, three), (Skew{Ahead: -second, Spread: 2 * second, Between: theNodes}); got != want {
		t.Errorf("two of three: %+v, want %+v", got, want)
	}
	if got, want := skewOf(append(torn, at("b", 0, 0)...), three), (Skew{}); got != want {
		t.Errorf("two of three beside another data centre: %+v, want %+v", got, want)
	}
}

// clocksAt are clocks whose nodes have said something now.
func clocksAt(of ...reading) *clocks {
	c := new(clocks)
	for _, r := range of {
		c.add(r)
	}
	return c
}

// sum is what is known some time later, during which this machine's clock was set.
func (c *clocks) sum(local string, later, set time.Duration) Skew {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, steady := c.now()
	return skewOf(c.knownAt(local, wall.Add(later+set), steady+later), c.nodes)
}

// near compares what was measured at slightly different moments.
func near(a, b time.Duration) bool { return (a - b).Abs() < time.Second/20 }

// TestSilentNodesCount: a node that does not answer any more counts with what it has
// said for five minutes, so that a data centre which is not reached lifts no refusal,
// and a node that restarts makes none.
func TestSilentNodesCount(t *testing.T) {
	const second = time.Second
	c := clocksAt(reading{host: "a1", dc: "a"}, reading{host: "b1", dc: "b", skew: 2 * second})
	for range 5 { // b is not reached
		c.add(reading{host: "a1", dc: "a"})
		c.add(reading{host: "b1", dc: "b", err: errors.New("no")})
	}
	if got := c.sum("a", second, 0); !near(got.Spread, 2*second) || !near(got.Ahead, second) {
		t.Errorf("a data centre that is not reached any more: %+v", got)
	}
	if got := c.sum("a", second, time.Minute); !near(got.Spread, 2*second) || !near(got.Ahead, second+time.Minute) {
		t.Errorf("after this machine's clock was set: %+v", got)
	}

	c = clocksAt(reading{host: "a1", dc: "a"}, reading{host: "a2", dc: "a", skew: second}, reading{host: "a3", dc: "a"})
	c.add(reading{host: "a1", dc: "a", err: errors.New("it restarts")})
	if got := c.sum("a", second, 0); got.Spread > second/20 {
		t.Errorf("a wrong node beside one that restarts: %+v", got)
	}
	if left := len(c.knownAt("a", time.Now(), readingValid+time.Minute)); left > 0 {
		t.Errorf("%d nodes count for more than %s", left, readingValid)
	}

	// What three nodes of another data centre say now counts, not what the others did.
	c = new(clocks)
	for i := range 12 {
		c.add(reading{host: fmt.Sprint("b", i), dc: "b", skew: time.Duration(max(0, 9-i)) * second})
	}
	if got := c.sum("a", 0, 0); !near(got.Ahead, 0) || got.Spread > second/20 {
		t.Errorf("after a data centre was set right: %+v", got)
	}
}

// TestStrays: a node is compared with those of its data centre, and these with each other.
func TestStrays(t *testing.T) {
	const ms = time.Millisecond
	right := []reading{
		{host: "a1", dc: "a"}, {host: "a2", dc: "a"}, {host: "a3", dc: "a"},
		{host: "b1", dc: "b", skew: 700 * ms}, {host: "b2", dc: "b", skew: 700 * ms}, {host: "b3", dc: "b", skew: 700 * ms},
	}
	const apart = "the clocks of the data centres a and b differ by 700ms: beyond a second nothing is written"
	if got := strays(right, right); !slices.Equal(got, []string{apart}) {
		t.Errorf("of two data centres that are apart: %q", got)
	}
	right[5].skew = 0
	if got := strays(right, right); !slices.Equal(got, []string{"the clock of node b3 differs by 700ms from those of data centre b", apart}) {
		t.Errorf("of a wrong node: %q", got)
	}
	if got := strays(right[:3], right[:3]); len(got) > 0 {
		t.Errorf("of nodes that agree: %q", got)
	}
}

// TestUnreadDataCentre: of one that has never answered it is told once, and again after
// it has answered.
func TestUnreadDataCentre(t *testing.T) {
	c := clocksAt(reading{host: "a1", dc: "a"}, reading{host: "b1", dc: "b", err: errors.New("too far away")})
	c.count("a", 1)
	c.countOthers("a", map[string][]string{"b": {"b1"}})
	if got := c.unread("a"); len(got) != 1 || !strings.Contains(got[0], "of data centre b is not known") || !strings.Contains(got[0], "too far away") {
		t.Errorf("%q", got)
	}
	if got := c.unread("a"); len(got) > 0 {
		t.Errorf("it is told again: %q", got)
	}
	c.add(reading{host: "b1", dc: "b"})
	if got := c.unread("a"); len(got) > 0 {
		t.Errorf("of one that has answered: %q", got)
	}
	c.knownAt("a", time.Now(), readingValid+time.Minute)
	if got := c.unread("a"); len(got) != 1 {
		t.Errorf("of one that is silent again: %q", got)
	}
}

// TestRemoteIsAskedSeldom: nodes of other data centres are asked at a start and after it,
// then every few minutes as long as all agree. At each measurement they are where clocks are
// apart, and where one data centre did not answer, until nothing counts that it has said.
func TestRemoteIsAskedSeldom(t *testing.T) {
	const measured = 32 * time.Second
	start := time.Now()
	c := clocksAt(reading{host: "a1", dc: "a"})
	for range 2 {
		if !c.remoteDue("a", false) {
			t.Error("at a start, which does not wait for them, they are not asked")
		}
	}
	c.add(reading{host: "b1", dc: "b"})
	// due measures for a while, beginning at a moment, and returns how often the other data
	// centre is asked, which then answers what it did, or nothing.
	due := func(from, to time.Duration, spread time.Duration, answers bool) (asked int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for at := from; at < to; at += measured {
			c.said["a1"] = said{"a", start.Add(at), at}
			if !c.remoteDueAt("a", true, start.Add(at), at) {
				continue
			}
			asked++
			if answers {
				c.said["b1"] = said{"b", start.Add(at - spread), at + 1}
			}
		}
		return asked
	}
	for _, tt := range []struct {
		name        string
		from, to    time.Duration
		spread      time.Duration
		answers     bool
		least, most int
	}{
		{"that agree", 0, time.Hour, 0, true, 18, 20},
		{"that are apart", time.Hour, time.Hour + 32*time.Minute, 2 * time.Second, true, 54, 60},
		{"that agree again", 2 * time.Hour, 3 * time.Hour, 0, true, 18, 20},
		{"that are silent", 3 * time.Hour, 3*time.Hour + readingValid, 0, false, 3, 7},
		{"that are silent for long", 4 * time.Hour, 5 * time.Hour, 0, false, 18, 20},
	} {
		if asked := due(tt.from, tt.to, tt.spread, tt.answers); asked < tt.least || asked > tt.most {
			t.Errorf("nodes %s are asked %d times, want %d to %d", tt.name, asked, tt.least, tt.most)
		}
	}
	if tries := int((readingValid - RemoteEvery - measured) / measured); tries < 2 {
		t.Errorf("a node that does not answer is asked %d times before what it has said counts no more", tries)
	}
}
