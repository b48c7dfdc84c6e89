package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// strike is a process, or one of several, that is to be killed at a point.
type strike struct {
	point, key string
	at         []arms
	daemons    []*daemon
}

// armAll arms the processes of a cell, of the peers those that are given for what a relay
// does.
func (c *eventsCrashing) armAll(t *testing.T, cell eventCell, cid string, relays []*crashPeer) []*strike {
	t.Helper()
	var all []*strike
	add := func(point string, peers ...*crashPeer) {
		if point == "" {
			return
		}
		s := &strike{point: point, key: cid}
		i := slices.IndexFunc(eventPoints, func(p eventPoint) bool { return p.name == strings.TrimPrefix(point, onServer) })
		if eventPoints[i].ofShard() {
			s.key = fmt.Sprintf("shard-%d", c.shard(t, cid))
		}
		for _, p := range peers {
			s.at, s.daemons = append(s.at, p.arms), append(s.daemons, p.daemon)
		}
		if len(peers) == 0 {
			s.at, s.daemons = []arms{c.consumer.arms}, []*daemon{c.consumer.daemon}
		}
		for _, a := range s.at {
			a.arm(t, s.point, s.key)
		}
		all = append(all, s)
	}
	add(cell.front, c.front)
	add(cell.back, c.back)
	add(cell.relay, relays...)
	add(cell.consumer)
	return all
}

// struck waits until one process of each strike was killed, at its point, or NATS there.
func (c *eventsCrashing) struck(t *testing.T, strikes []*strike) {
	t.Helper()
	for _, s := range strikes {
		eventually(t, struck, "a process is killed at "+s.point, func() error {
			if strings.HasPrefix(s.point, onServer) {
				return s.killedNATS(t, c)
			}
			for _, d := range s.processes(c) {
				if hasEnded(d) {
					return nil
				}
			}
			return errors.New("it runs")
		})
		for i, a := range s.at {
			a.arm(t, "", "")
			if d := s.processes(c)[i]; hasEnded(d) && a.crashed(t, s.point, s.key) == 0 {
				t.Errorf("a process has ended elsewhere than at %q: %v", s.point, d.Wait())
			}
		}
	}
	c.onlyStruck(t, strikes)
}

// killedNATS returns an error unless NATS was killed by a process of the strike.
func (s *strike) killedNATS(t *testing.T, c *eventsCrashing) error {
	t.Helper()
	for _, a := range s.at {
		if a.crashed(t, s.point, s.key) > 0 && hasEnded(c.nats.daemon) {
			return nil
		}
	}
	return errors.New("it runs")
}

// processes are those of the strike. The consumer may have been started after it was armed.
func (s *strike) processes(c *eventsCrashing) []*daemon {
	if len(s.at) == 1 && s.at[0] == c.consumer.arms {
		return []*daemon{c.consumer.daemon}
	}
	return s.daemons
}

// onlyStruck fails the test if another process has ended than those of the strikes.
func (c *eventsCrashing) onlyStruck(t *testing.T, strikes []*strike) {
	t.Helper()
	var may []*daemon
	for _, s := range strikes {
		if strings.HasPrefix(s.point, onServer) {
			may = append(may, c.nats.daemon)
		} else {
			may = append(may, s.processes(c)...)
		}
	}
	for _, d := range []*daemon{c.nats.daemon, c.consumer.daemon, c.front.daemon, c.back.daemon} {
		if hasEnded(d) && !slices.Contains(may, d) && d != c.held {
			t.Errorf("the process of %s has ended, which was to be killed nowhere: %v", filepath.Base(d.log), d.Wait())
		}
	}
}
