package pins

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// BenchmarkListPage lists 1,000 requests of a tenant that has PINS_ROWS (10,000 unless told
// otherwise), all pinned, one made every 100 ms.
func BenchmarkListPage(b *testing.B) {
	n := 10_000
	if text := os.Getenv("PINS_ROWS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := New(Config{DB: openDB(b)})
	first := time.UnixMilli(1_672_531_200_000)
	const apart = 100 * time.Millisecond
	load(b, s, n, first, apart)
	middle := first.Add(time.Duration(n/2) * apart)
	for _, bb := range []struct {
		name string
		q    Query
	}{
		{"any status", Query{}},
		{"pinned", Query{Statuses: []Status{Pinned}}},
		{"pinned, from the middle", Query{Statuses: []Status{Pinned}, Before: middle}},
	} {
		bb.q.Limit = 1000
		b.Run(fmt.Sprintf("%d rows/%s", n, bb.name), func(b *testing.B) {
			for b.Loop() {
				page, err := s.List(b.Context(), "t1", bb.q)
				if err != nil || len(page.Results) != 1000 {
					b.Fatal(len(page.Results), err)
				}
			}
		})
	}
}

// load stores rows by plain writes, those of one slice together.
func load(b *testing.B, s *Service, n int, first time.Time, apart time.Duration) {
	b.Helper()
	const together = 20
	var g errgroup.Group
	g.SetLimit(32)
	waiting := make(map[int64][]row)
	write := func(rows []row) {
		g.Go(func() error {
			all := []scylla.Statement{scylla.Bind(insertSlice, rows[0].Tenant, rows[0].slice)}
			if err := s.db.Write(b.Context(), all[0]); err != nil {
				return err
			}
			for _, text := range []string{insertPin, insertByStatus} {
				all = all[:0]
				for i := range rows {
					all = append(all, rows[i].insert(text, Pinned, rows[i].stamp))
				}
				if err := s.db.WriteAll(b.Context(), all); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range n {
		created, slice, _ := s.slicer.next("t1", first.Add(time.Duration(i)*apart))
		k := key{slice, created, int64(i)}
		r := row{key: k, stamp: stampOf(time.UnixMilli(created), Pinned), Request: Request{
			Tenant: "t1", Owner: "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", CID: testCID(i), Name: fmt.Sprintf("photo %d.jpg", i),
			Meta: map[string]string{"app": "benchmark"}, Delegates: []string{"/dnsaddr/example.net/p2p/12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3"}, Size: int64(i),
		}}
		if waiting[slice] = append(waiting[slice], r); len(waiting[slice]) == together {
			write(waiting[slice])
			delete(waiting, slice)
		}
	}
	for _, rows := range waiting {
		write(rows)
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
