package pins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// strayAge is how old a row must be to be taken for what a crash has left: a change of a
	// status takes seconds.
	strayAge = 10 * time.Minute
	// recountWait is how long places that were reserved before a recount may be used, and
	// what was begun with them may take.
	recountWait = placeLife + 2*actMost
	// countPage is how many rows one answer has.
	countPage = 2000
)

// errRecounted says that another recount has begun.
var errRecounted = errors.New("another recount of the tenant has begun")

// Usage returns what the tenant holds.
func (s *Service) Usage(ctx context.Context, tenant string) (Usage, error) {
	row, err := s.usage.read(ctx, gocql.Quorum, tenant)
	return Usage{Pins: row.pins, Bytes: row.bytes, Counted: row.counted}, err
}

// Recount counts what the tenant holds and mends the lists by status where a crash has left
// something. It takes minutes, most of which it waits. To be called daily, and when a limit
// is given to a tenant that had none.
//
// It counts too much rather than too little: what is made while it counts may count twice,
// and what is removed not at all, until the next one.
func (s *Service) Recount(ctx context.Context, tenant string) (Usage, error) {
	begun, err := s.usage.update(ctx, tenant, func(row *usageRow) error {
		row.gen, row.reserved = row.gen+1, 0
		return nil
	})
	if err != nil {
		return Usage{}, err
	}
	if err := s.wait(ctx, recountWait); err != nil {
		return Usage{}, fmt.Errorf("waiting to count: %w", err)
	}
	var pins, bytes int64
	slices, err := s.slicesOf(ctx, tenant)
	if err != nil {
		return Usage{}, err
	}
	for _, slice := range slices {
		p, b, err := s.count(ctx, tenant, slice)
		if err != nil {
			return Usage{}, err
		}
		pins, bytes = pins+p, bytes+b
	}
	row, err := s.usage.update(ctx, tenant, func(row *usageRow) error {
		if row.gen != begun.gen {
			return errRecounted
		}
		row.pins, row.bytes, row.gen, row.counted = pins+row.reserved, bytes, row.gen+1, s.now()
		return nil
	})
	return Usage{Pins: row.pins, Bytes: row.bytes, Counted: row.counted}, err
}

// slicesOf returns all slices of a tenant.
func (s *Service) slicesOf(ctx context.Context, tenant string) ([]int64, error) {
	var all []int64
	rows := s.db.Rows(ctx, gocql.Quorum, countPage, scylla.Bind(selectSlices, tenant, int64(-1), int64(maxCreated*sliceRoom)))
	for slice := int64(0); rows.Next(&slice); {
		if levelOf(slice) < levels {
			all = append(all, slice)
		}
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("reading the slices of a tenant: %w", err)
	}
	return all, nil
}

// count counts one slice, and deletes rows of by_status that a crash has left.
func (s *Service) count(ctx context.Context, tenant string, slice int64) (pins, bytes int64, err error) {
	status := make(map[key]Status)
	rows := s.db.Rows(ctx, gocql.Quorum, countPage, scylla.Bind(selectPins, tenant, slice, -1, maxCreated))
	for {
		var r row
		if !rows.Next(r.scanPin()...) {
			break
		}
		status[r.key] = r.Status
		pins, bytes = pins+1, bytes+r.Size
	}
	if err := rows.Close(); err != nil {
		return 0, 0, fmt.Errorf("counting the requests of a tenant: %w", err)
	}
	for _, listed := range statuses() {
		if err := s.mendList(ctx, tenant, listed, slice, status); err != nil {
			return 0, 0, err
		}
	}
	return pins, bytes, nil
}

// mendList deletes the rows of a list whose requests have another status, if they are old.
// The timestamp of the deletion is that of the row: it can meet nothing newer.
func (s *Service) mendList(ctx context.Context, tenant string, listed Status, slice int64, status map[key]Status) error {
	rows := s.db.Rows(ctx, gocql.Quorum, countPage, scylla.Bind(selectByStatus, tenant, string(listed), slice, -1, maxCreated))
	old := s.now().Add(-strayAge).UnixMicro()
	var strays []row
	for {
		var r row
		if !rows.Next(r.scan()...) {
			break
		}
		if status[r.key] != listed && r.stamp < old {
			strays = append(strays, r)
		}
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("reading a list of requests: %w", err)
	}
	for _, r := range strays {
		if err := s.db.Write(ctx, scylla.Bind(deleteByStatus, r.stamp, tenant, string(listed), slice, r.created, r.rnd)); err != nil {
			return fmt.Errorf("mending a list of requests: %w", err)
		}
	}
	return nil
}
