package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"go.opencensus.io/stats"
)

const (
	// pinsSample is how many pins are counted at most to find how many there are: the
	// estimate is then off by a sixty-fourth, in two of three cases.
	pinsSample = 4096
	// pinsAgain is how often they are counted if that counts all, by all peers together, and
	// pinsSampled how often a peer counts them otherwise, and at least.
	pinsAgain   = time.Minute
	pinsSampled = 10 * time.Minute
	// pinsShare is how much longer the pause after a count is than the count, at least.
	pinsShare = 100
	// pinsTime is how long that may take: removed pins are read, too.
	pinsTime = 30 * time.Second
	// pinsShown is how often the number is told, if it has changed.
	pinsShown = time.Second
)

// pinsCount is how many pins there are, as far as this process knows: as many as were
// counted last, with its own writes since. It is safe for concurrent use.
type pinsCount struct {
	n, writes atomic.Int64
	// known is set by the first count.
	known atomic.Bool
}

// wrote counts a write that was applied.
func (p *pinsCount) wrote(old row, next *content) {
	var by int64
	switch {
	case old.pin == nil && next != nil:
		by = 1
	case old.pin != nil && next == nil:
		by = -1
	default:
		return
	}
	p.writes.Add(1)
	p.n.Add(by)
}

// counted takes the number that was found by reading pins.
func (p *pinsCount) counted(n int64) {
	p.n.Store(n)
	p.known.Store(true)
}

// watchPins tells upstream's metric of the number of pins, until ctx ends. It never reads
// more than a sample of them.
func (s *Store) watchPins(ctx context.Context) {
	s.pins.watch(ctx,
		func(ctx context.Context) (bool, error) {
			return s.countPins(ctx, rand.Int64N(math.MaxInt64), pinsSample) //nolint:gosec // not for security
		},
		s.peersCounting,
		func(n int64) { stats.Record(ctx, observations.Pins.M(n)) })
}

// peersCounting is how many processes count pins, as far as it was read: the peers.
func (s *Store) peersCounting() int {
	roster := s.roster.Load()
	if roster == nil {
		return 1
	}
	n := 0
	for _, m := range roster.members {
		if m.Removed.IsZero() {
			n++
		}
	}
	return n
}

// watch counts again and again, one of so many peers, and tells the number when it has
// changed. Before the first count nothing is told: what this process has written alone is not
// how many there are.
func (p *pinsCount) watch(ctx context.Context, count func(context.Context) (exact bool, err error), peers func() int, tell func(int64)) {
	ticker := time.NewTicker(pinsShown)
	defer ticker.Stop()
	var next time.Time
	for shown := int64(-1); ; {
		if !time.Now().Before(next) {
			began := time.Now()
			exact, err := count(ctx)
			if err != nil {
				logger.Debugf("the number of pins: %s", err)
			}
			next = time.Now().Add(pinsPause(exact || err != nil && !p.known.Load(), time.Since(began), peers()))
		}
		if n := max(0, p.n.Load()); n != shown && p.known.Load() {
			shown = n
			tell(n)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pinsPause is how long to wait after a count that took some time. Up to ten peers count once
// in pinsAgain, all together, as long as that counts all; and a peer reads for a hundredth of
// its time at the most, where it does so slowly.
func pinsPause(soon bool, took time.Duration, peers int) time.Duration {
	pause := pinsSampled
	if soon {
		pause = min(pinsAgain*time.Duration(max(1, peers)), pinsSampled)
	}
	return max(pause, pinsShare*took)
}

// errEnough ends the reading of a sample.
var errEnough = errors.New("enough pins were read")

// countPins counts pins from a place on the ring on, which is one of those that are not
// negative, and takes the rest of the ring to have as many. It reports whether it has counted
// all. After an error the number is what it was.
func (s *Store) countPins(ctx context.Context, from int64, sample int) (exact bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pinsTime)
	defer cancel()
	writes := s.pins.writes.Load()
	n, last := 0, from
	count := func(r scanned) error {
		n, last = n+1, tokenOf(r.key)
		if n >= sample {
			return errEnough
		}
		return nil
	}
	err = s.scanRange(ctx, gocql.Quorum, tokenRange{from, math.MaxInt64}, count)
	if err == nil {
		err = s.scanRange(ctx, gocql.Quorum, tokenRange{math.MinInt64, from}, count)
	}
	total := int64(n)
	switch {
	case errors.Is(err, errEnough):
		total = estimate(n, from, last)
	case err != nil:
		s.metrics.countsPins(false)
		return false, fmt.Errorf("counting pins: %w", err)
	default:
		exact = s.pins.writes.Load() == writes // else some were counted or not
	}
	s.pins.counted(total)
	s.metrics.countsPins(exact)
	return exact, nil
}

// estimate is how many pins there are on the ring if there are n after a token and up to
// another one, also past the end of the ring.
func estimate(n int, after, upTo int64) int64 {
	part := float64(uint64(upTo)-uint64(after)) / math.MaxUint64
	return int64(float64(n) / part)
}
