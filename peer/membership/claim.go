package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// taken is the number of the heartbeat that says that a process has the identity
// but is not at work yet. Another host waits for it like for any other, and
// nobody takes the peer for alive: one that ends at each start must be found dead.
const taken = -1

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// Claim makes this process the one that runs as the peer, and returns its
// Monitor, which knows who else there is, and does nothing more before Start. A
// daemon calls it before it opens the network.
//
// A process of the same instance is replaced at once. One elsewhere is given the
// time to show that it runs: if it does, or if another process takes the
// identity meanwhile, Claim fails. It fails also for a peer that was removed,
// unless it is to rejoin. Errors of the database are retried until ctx ends.
func Claim(ctx context.Context, opts Options) (*Monitor, error) {
	m, err := newMonitor(opts)
	if err != nil {
		return nil, err
	}
	c := claim{m: m, told: make(map[string]bool)}
	if err := c.run(ctx); err != nil {
		m.cancel()
		return nil, err
	}
	opts.Metrics.watch(m)
	return m, nil
}

// claim is one try to take an identity.
type claim struct {
	m *Monitor
	// looked is when the table was last read. The others are what it said
	// when the holder of the identity was first seen.
	looked time.Time
	first  state.Member
	found  bool
	since  time.Time
	// announced says that others can see that somebody has the identity.
	announced bool
	told      map[string]bool
}

func (c *claim) run(ctx context.Context) error {
	wait := firstRetry
	for {
		done, err := c.try(ctx)
		var refused *refusal
		switch {
		case done:
			return nil
		case errors.As(err, &refused):
			return err
		case err == nil:
			// The holder is being watched.
			c.m.opts.Waiting(fmt.Errorf("another process, %s, has the identity of peer %s and may still run", c.first.Instance, c.m.opts.ID))
			wait = firstRetry
			err = pause(ctx, c.m.opts.Interval/2)
		default:
			c.tell(err)
			c.m.opts.Waiting(err)
			if cause := pause(ctx, wait); cause != nil {
				err = fmt.Errorf("%w: %w", cause, err)
			} else {
				err = nil
			}
			wait = min(2*wait, lastRetry)
		}
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("taking the identity of peer %s: %w", c.m.opts.ID, err)
		}
	}
}

// tell logs an error once.
func (c *claim) tell(err error) {
	if text := err.Error(); !c.told[text] {
		c.told[text] = true
		state.Failure(err, logger.Warnf, logger.Debugf)("taking the identity of peer %s, trying again: %s", c.m.opts.ID, err)
	}
}

// try takes the identity if it may be taken now. It returns false and no error
// when the holder must be watched for longer.
func (c *claim) try(ctx context.Context) (done bool, err error) {
	opts := c.m.opts
	ctx, cancel := context.WithTimeout(ctx, c.m.ttl)
	defer cancel()
	asked := time.Now()
	rows, err := opts.Members.ListMembers(ctx)
	if err != nil {
		return false, fmt.Errorf("reading the peers: %w", err)
	}
	row, found := find(rows, opts.ID)
	if found && row.Incarnation == c.m.incarnation {
		// Also by an earlier try whose answer was lost. From here on it is known
		// who else there is.
		c.announce(ctx)
		c.m.observe(rows, asked)
		return true, nil
	}
	free, err := c.judge(row, found)
	if err != nil || !free {
		return false, err
	}
	next := state.Member{
		ID: opts.ID, Name: opts.Name, Role: opts.Role, Addresses: row.Addresses,
		Incarnation: c.m.incarnation, Instance: opts.Instance, Leaving: row.Leaving,
	}
	if opts.Rejoin {
		next.Leaving = time.Time{}
	}
	if err := opts.Members.PutMember(ctx, next, row); err != nil {
		return false, fmt.Errorf("writing this peer: %w", err)
	}
	c.announce(ctx)
	return c.try(ctx)
}

// announce shows others that want the identity that somebody has it. Without it
// they would take it, and this process would stop: that is no reason to fail.
func (c *claim) announce(ctx context.Context) {
	if c.announced {
		return
	}
	c.announced = true
	m := c.m
	err := m.opts.Members.Beat(ctx, m.opts.ID, state.Heartbeat{Incarnation: m.incarnation, Beat: taken, TTL: m.ttl})
	if err != nil {
		state.Failure(err, logger.Warnf, logger.Debugf)("announcing that peer %s starts: %s", m.opts.ID, err)
	}
}

// judge tells whether the identity may be taken, given its row as it is now.
func (c *claim) judge(row state.Member, found bool) (free bool, err error) {
	opts := c.m.opts
	now := time.Now()
	never := c.looked.IsZero()
	last := now.Sub(c.looked)
	c.looked = now
	if found && !row.Removed.IsZero() && !opts.Rejoin {
		return false, refuse("peer %s was removed from the cluster on %s: start it with --bootstrap <address of a peer> to bring it back",
			opts.ID, row.Removed.UTC().Format(time.RFC3339))
	}
	ttl := row.TTL
	if ttl <= 0 {
		ttl = c.m.ttl
	}
	changed := found != c.found || row.Incarnation != c.first.Incarnation
	removed := found && changed && !row.Removed.IsZero()
	if never || removed {
		c.first, c.found, c.since = row, found, now
	}
	switch {
	case !found || row.Instance == opts.Instance:
		return true, nil
	case !never && !removed && changed:
		return false, inUse(opts, row, "took it", last)
	case row.Beat == 0:
		return true, nil
	case row.Beat != c.first.Beat || row.BeatOf != c.first.BeatOf:
		return false, inUse(opts, row, "sent a heartbeat", last)
	case !never && last > max(ttl, c.m.ttl)/2:
		// The table could not be read, so the holder could not write either.
		c.since = now
		return false, nil
	}
	return now.Sub(c.since) >= ttl+opts.Interval, nil
}

// refusal is an error that trying again does not mend.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{text: fmt.Sprintf(format, args...)} }

// inUse is the error for an identity whose holder runs: it did something at
// most that long ago.
func inUse(opts Options, row state.Member, did string, ago time.Duration) error {
	seconds := max(1, int(ago.Round(time.Second)/time.Second))
	return refuse("peer ID %s is in use by %s, which %s %d s ago: stop that peer, or give this one an identity of its own (ipfs-cluster-service init in another folder)",
		opts.ID, row.Instance, did, seconds)
}
