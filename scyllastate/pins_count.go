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
	// pinsAgain is how often they are counted if that counts all, pinsSampled otherwise.
	pinsAgain   = time.Minute
	pinsSampled = 10 * time.Minute
	// pinsTime is how long that may take: removed pins are read, too.
	pinsTime = 30 * time.Second
	// pinsShown is how often the number is told, if it has changed.
	pinsShown = time.Second
)

// pinsCount is how many pins there are, as far as this process knows: as many as were
// counted last, with its own writes since. It is safe for concurrent use.
type pinsCount struct{ n, writes atomic.Int64 }

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

// watchPins tells upstream's metric of the number of pins, until ctx ends. It never reads
// more than a sample of them.
func (s *Store) watchPins(ctx context.Context) {
	ticker := time.NewTicker(pinsShown)
	defer ticker.Stop()
	var next time.Time
	for shown := int64(-1); ; {
		if !time.Now().Before(next) {
			every := pinsSampled
			if exact, err := s.countPins(ctx, rand.Int64N(math.MaxInt64), pinsSample); err != nil { //nolint:gosec // not for security
				logger.Debugf("the number of pins: %s", err)
			} else if exact {
				every = pinsAgain
			}
			next = time.Now().Add(every)
		}
		if n := max(0, s.pins.n.Load()); n != shown {
			shown = n
			stats.Record(ctx, observations.Pins.M(n))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
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
	s.pins.n.Store(total)
	s.metrics.countsPins(exact)
	return exact, nil
}

// estimate is how many pins there are on the ring if there are n after a token and up to
// another one, also past the end of the ring.
func estimate(n int, after, upTo int64) int64 {
	part := float64(uint64(upTo)-uint64(after)) / math.MaxUint64
	return int64(float64(n) / part)
}
