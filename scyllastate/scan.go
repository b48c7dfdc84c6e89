package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// rangesPerReader is how many pieces of the ring there are for each reader
	// of a scan. Many small ones keep all nodes busy until the end.
	rangesPerReader = 8
	// readersPerShard is how many pieces are read at the same time.
	readersPerShard = 2
	leastReaders    = 4
	// mostReaders bounds, with scanPage, the memory of a scan: two pages each.
	mostReaders = 256
	// scanPage is the number of rows that one request returns.
	scanPage = 1000
	// maxHalvings is how often a piece that the servers do not read in time is
	// cut in two.
	maxHalvings = 6
)

// scanned is one row of pins that holds a pin. It may be kept.
type scanned struct {
	key, value []byte
	rev        gocql.UUID
}

// scanAll calls f for each row that holds a pin, from several goroutines. An
// error of f or of the database ends it.
func (s *Store) scanAll(ctx context.Context, cons gocql.Consistency, f func(context.Context, scanned) error) error {
	readers := scanReaders(s.db.Shards())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, r := range tokenRanges(readers * rangesPerReader) {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			return s.scanRange(gctx, cons, r, func(row scanned) error { return f(gctx, row) })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err() // it may have ended between two pieces
}

// scanReaders is how many pieces of the ring are read at the same time.
func scanReaders(shards int) int {
	return min(max(leastReaders, shards*readersPerShard), mostReaders)
}

// scanRange calls f for each row of a piece that holds a pin, in the order of
// the ring. A server gives up on a page that is full of removed pins, and may
// not find its replicas in time: the rest of the piece is then read in two
// halves, each by the next node.
func (s *Store) scanRange(ctx context.Context, cons gocql.Consistency, r tokenRange, f func(scanned) error) error {
	return s.scanHalves(ctx, cons, r, 0, f)
}

func (s *Store) scanHalves(ctx context.Context, cons gocql.Consistency, r tokenRange, late int, f func(scanned) error) error {
	done, ended, err := s.scanOnce(ctx, cons, r, f)
	if ended != nil {
		return ended
	}
	rest := tokenRange{done, r.upTo}
	if err == nil {
		return nil
	}
	late, again := mayHalve(err, late)
	if !again || ctx.Err() != nil || uint64(rest.upTo)-uint64(rest.after) <= 1 {
		s.db.NotServed(err)
		return err
	}
	middle := rest.after + int64((uint64(rest.upTo)-uint64(rest.after))/2)
	if err := s.scanHalves(ctx, cons, tokenRange{rest.after, middle}, late, f); err != nil {
		return err
	}
	return s.scanHalves(ctx, cons, tokenRange{middle, rest.upTo}, late, f)
}

// mayHalve reports whether a piece that failed with err is to be cut in two, and
// how often it then was for being late.
func mayHalve(err error, late int) (int, bool) {
	var failed *gocql.RequestErrReadFailure
	var timeout *gocql.RequestErrReadTimeout
	switch {
	case errors.As(err, &failed):
		return late, true
	case errors.As(err, &timeout), errors.Is(err, gocql.ErrTimeoutNoResponse):
		return late + 1, late < maxHalvings
	}
	return late, false
}

// scanOnce reads one piece and returns up to which token it came. An error of
// f, which may be one of the database about something else, is apart.
func (s *Store) scanOnce(ctx context.Context, cons gocql.Consistency, r tokenRange, f func(scanned) error) (done int64, ended, err error) {
	rows := s.db.Scan(ctx, cons, scanPage, scylla.Bind(selectRange, r.after, r.upTo))
	done = r.after
	for {
		var token int64
		var row scanned
		if !rows.Next(&token, &row.key, &row.rev, &row.value) {
			break
		}
		if len(row.value) > 0 { // else the marker of a removed pin
			if err := f(row); err != nil {
				_ = rows.Close() // err is the reason
				return done, err, nil
			}
		}
		done = token
	}
	if err := rows.Close(); err != nil {
		return done, nil, fmt.Errorf("reading pins: %w", err)
	}
	return r.upTo, nil, nil
}

// tokenRange is a piece of the ring, (after, upTo].
type tokenRange struct{ after, upTo int64 }

// tokenRanges cuts the ring into n equal pieces, in random order so that
// several scans do not follow each other over the same nodes.
func tokenRanges(n int) []tokenRange {
	out := make([]tokenRange, n)
	for i := range out {
		out[i] = rangeAt(i, n)
	}
	rand.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// rangeAt is the i-th of n equal pieces. No key has the smallest token.
func rangeAt(i, n int) tokenRange {
	width := math.MaxUint64/uint64(n) + 1
	smallest := int64(math.MinInt64)
	after := int64(uint64(smallest) + uint64(i)*width)
	if i == n-1 {
		return tokenRange{after, math.MaxInt64}
	}
	return tokenRange{after, int64(uint64(after) + width)}
}
