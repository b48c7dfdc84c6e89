package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	pageSize = pins.MaxLimit
	// pinsApart is between two pins of a tenant.
	pinsApart = 100 * time.Millisecond
	// pagesOfTurn are listed one after another, and the median counts.
	pagesOfTurn = 5
)

// measurePages compares pages of a tenant with many pins with the same of one with few, all
// of them pinned.
func measurePages(ctx context.Context, db *scylla.DB, set settings) (table, error) {
	t := table{
		Title: fmt.Sprintf("A page of %d pins of a tenant", pageSize), Left: fmt.Sprintf("%d pins", set.Many), Right: fmt.Sprintf("%d pins", set.Few),
		Note: fmt.Sprintf("Pins that are pinned, one made every %s; %d rounds in turns, the median of %d pages each. The promise for the ratio is %.1f.",
			pinsApart, set.PageRounds, pagesOfTurn, pageBound),
	}
	service := pins.New(pins.Config{DB: db})
	first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	sides := [2]struct {
		tenant string
		pins   int
	}{{"many", set.Many}, {"few", set.Few}}
	for _, side := range sides {
		say("writing %d pins of a tenant", side.pins)
		if err := writePinned(ctx, db, side.tenant, side.pins, first); err != nil {
			return t, err
		}
	}
	for _, part := range []struct {
		name  string
		share float64 // of the pins that are older
	}{{"the newest", 1}, {"from the middle", 0.5}} {
		r := row{Name: part.name, Unit: "ms"}
		for round := -1; round < set.PageRounds; round++ { // the first warms up
			for turn := range sides {
				side := sideOfTurn(round+1, turn)
				before := first.Add(time.Duration(part.share*float64(sides[side].pins)) * pinsApart)
				took := make([]float64, pagesOfTurn)
				for i := range took {
					begun := time.Now()
					page, err := service.List(ctx, sides[side].tenant, pins.Query{Statuses: []pins.Status{pins.Pinned}, Before: before, Limit: pageSize})
					if err != nil {
						return t, err
					}
					took[i] = time.Since(begun).Seconds() * 1000
					if len(page.Results) != pageSize || !page.Results[0].Created.Equal(before.Add(-pinsApart)) {
						return t, fmt.Errorf("a page of %q has %d pins", sides[side].tenant, len(page.Results))
					}
				}
				if round >= 0 {
					r.add(side, median(took))
				}
			}
		}
		say("a page, %s: %s", part.name, r.lastPair())
		t.Rows = append(t.Rows, r)
	}
	return t, nil
}

// slicing is how package pins cuts a tenant's pins, which come in the order of time here.
type slicing struct {
	slice [5]int64
	rows  [5]int
}

const (
	rowsOfSlice = 20_000
	sliceFactor = 8
)

// next is the slice of the next pin.
func (s *slicing) next(created int64) int64 {
	lengths := [len(s.slice)]time.Duration{32 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, 5 * time.Second}
	for level, length := range lengths {
		slice := (created-created%length.Milliseconds())*sliceFactor + int64(level)
		if s.slice[level] != slice {
			s.slice[level], s.rows[level] = slice, 0
		}
		if s.rows[level] < rowsOfSlice || level == len(lengths)-1 {
			s.rows[level]++
			return slice
		}
	}
	return 0 // not reached: there is a last level
}

// writePinned writes what lists of what is pinned read, those of one slice together.
func writePinned(ctx context.Context, db *scylla.DB, tenant string, n int, first time.Time) error {
	const together = 20
	var cut slicing
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	waiting := make(map[int64][]scylla.Statement)
	noted := make(map[int64]bool)
	write := func(slice int64, all []scylla.Statement) {
		if !noted[slice] {
			noted[slice] = true
			g.Go(func() error { return db.Write(ctx, scylla.Bind(insertSlice, tenant, slice)) })
		}
		g.Go(func() error { return db.WriteAll(ctx, all) })
	}
	for i := range n {
		s, err := newSample("listed by a gateway", i)
		if err != nil {
			return err
		}
		created := first.Add(time.Duration(i) * pinsApart).UnixMilli()
		slice := cut.next(created)
		waiting[slice] = append(waiting[slice], scylla.Bind(insertByStatus, tenant, string(pins.Pinned), slice, created, int64(i), s.pin.Cid.String(),
			fmt.Sprintf("photo %d.jpg", i), "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", map[string]string{"app": "benchmark"}, map[string]string{},
			[]string{"/dnsaddr/example.net/p2p/12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3"}, int64(i), 0, 0, created*1000))
		if len(waiting[slice]) == together {
			write(slice, waiting[slice])
			delete(waiting, slice)
		}
		if ctx.Err() != nil {
			break
		}
	}
	for slice, all := range waiting {
		write(slice, all)
	}
	return g.Wait()
}
