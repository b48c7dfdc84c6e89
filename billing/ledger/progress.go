package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ErrFenced says that somebody with a later epoch closes the shard of the day.
var ErrFenced = errors.New("somebody else closes it by now")

// What close_progress says of a shard of a day.
const (
	stateClosing = "closing"
	stateClosed  = "closed"
)

// Progress is how far the close of a shard of a day is.
type Progress struct {
	// Begun says that the close has begun: who writes facts of the day from now on marks it
	// as late.
	Begun bool
	// Closed says that it has ended, for good.
	Closed bool
	// Epoch is that of the lease of whoever works on it, or has.
	Epoch int64
	// Owners is how many were active, and Digest what the digests of their days come to. They
	// are of a shard that is closed.
	Owners int64
	Digest []byte

	state string
	mark  gocql.UUID
}

// BeginClose notes that the close of a shard of a day has begun, by whoever has the lease of an
// epoch, and returns how far it is: closed perhaps. Facts that are read after it returned are
// all those that nobody will mark as late. It may be called again. Errors: ErrFenced.
func (s *Store) BeginClose(ctx context.Context, day int64, shard int, epoch int64) (Progress, error) {
	mark, err := gocql.RandomUUID()
	if err != nil {
		return Progress{}, fmt.Errorf("drawing a mark: %w", err)
	}
	err = s.decide(ctx, scylla.Bind(insertProgress, day, shard, stateClosing, epoch, mark))
	for err == nil {
		var p Progress
		if p, err = s.Progress(ctx, day, shard); err != nil {
			break
		}
		switch {
		case p.Closed || p.mark == mark:
			return p, nil
		case p.Epoch > epoch:
			return p, fmt.Errorf("closing shard %d of the day %d: %w", shard, day, ErrFenced)
		}
		// Of those who take it over from one mark one is applied: the next look tells who.
		err = s.decide(ctx, scylla.Bind(renewProgress, epoch, mark, day, shard, p.mark))
	}
	return Progress{}, fmt.Errorf("beginning to close shard %d of the day %d: %w", shard, day, err)
}

// EndClose notes that a shard of a day is closed. One that is closed stays as it is. It may be
// called again. Errors: ErrFenced.
func (s *Store) EndClose(ctx context.Context, day int64, shard int, epoch, owners int64, digest []byte) error {
	mark, err := gocql.RandomUUID()
	if err != nil {
		return fmt.Errorf("drawing a mark: %w", err)
	}
	err = s.decide(ctx, scylla.Bind(endProgress, stateClosed, owners, digest, mark, day, shard, epoch, stateClosing))
	if err != nil {
		return fmt.Errorf("closing shard %d of the day %d: %w", shard, day, err)
	}
	p, err := s.Progress(ctx, day, shard)
	if err == nil && !p.Closed {
		err = ErrFenced
	}
	return wrap(err, "closing shard %d of the day %d", shard, day)
}

// shardDay is a shard of a day.
type shardDay struct {
	day   int64
	shard int
}

// Begun returns which of some days of owners are in their close, or closed. It is to be asked
// after facts were written: who closes a day has read them, or they are late.
func (s *Store) Begun(ctx context.Context, days []OwnerDay) ([]OwnerDay, error) {
	known := make(map[shardDay]*bool)
	var ask []shardDay
	for _, d := range days {
		at := d.shard()
		if known[at] == nil {
			begun := s.begun.has(at)
			if known[at] = &begun; !begun {
				ask = append(ask, at)
			}
		}
	}
	err := each(ctx, ask, func(ctx context.Context, at shardDay) error {
		p, err := s.Progress(ctx, at.day, at.shard)
		if *known[at] = p.Begun; p.Begun {
			s.begun.add(at)
		}
		return err
	})
	return slices.DeleteFunc(slices.Clone(days), func(d OwnerDay) bool { return !*known[d.shard()] }), err
}

func (d OwnerDay) shard() shardDay { return shardDay{d.Day, ShardOf(d.Owner)} }

// Progress returns how far the close of a shard of a day is.
func (s *Store) Progress(ctx context.Context, day int64, shard int) (Progress, error) {
	var p Progress
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectProgress, day, shard), &p.state, &p.Owners, &p.Digest, &p.Epoch, &p.mark)
	if err != nil {
		return Progress{}, fmt.Errorf("reading how far the close of the day %d is: %w", day, err)
	}
	p.Begun, p.Closed = found, p.state == stateClosed
	return p, nil
}
