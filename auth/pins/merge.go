package pins

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// listPage is how many rows one answer of the database has, while a list is walked.
	listPage = 500
	// slicesPage is how many slices one answer has.
	slicesPage = 5000
)

// merge walks over the rows of a tenant: of the table pins, or of the lists by status. Slices
// are opened when the walk comes to their end. A request that is in two lists, because its
// status is just being changed, counts with the newer one.
type merge struct {
	ctx     context.Context
	service *Service
	tenant  string
	span    span
	status  []Status // nil for the table pins

	slices []int64 // not opened yet, those that end last first
	open   sources
	last   *key
}

// slicesOf returns the slices of a tenant that may have rows of the span, those that end last
// first.
func (s *Service) slicesOf(ctx context.Context, tenant string, sp span) ([]int64, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, slicesPage, scylla.Bind(selectSlices, tenant,
		(sp.after-lengthOf(0))*sliceRoom, sp.before*sliceRoom))
	var out []int64
	for slice := int64(0); rows.Next(&slice); {
		if levelOf(slice) < levels && endOf(slice) > sp.after {
			out = append(out, slice)
		}
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("reading the slices of a tenant: %w", err)
	}
	slices.SortFunc(out, func(a, b int64) int { return cmp.Compare(endOf(b), endOf(a)) })
	return out, nil
}

func newMerge(ctx context.Context, s *Service, tenant string, q *Query, status []Status) (*merge, error) {
	m := &merge{ctx: ctx, service: s, tenant: tenant, span: q.span(), status: status}
	var err error
	m.slices, err = s.slicesOf(ctx, tenant, m.span)
	return m, err
}

func (m *merge) next() (row, bool, error) {
	for {
		for len(m.slices) > 0 && (len(m.open) == 0 || endOf(m.slices[0]) > m.open[0].head.created) {
			if err := m.openSlice(); err != nil {
				return row{}, false, err
			}
		}
		if len(m.open) == 0 {
			return row{}, false, nil
		}
		r := m.open[0].head
		if err := m.advance(); err != nil {
			return row{}, false, err
		}
		if m.last == nil || *m.last != r.key {
			m.last = &r.key
			return r, true, nil
		}
	}
}

// advance takes the head off.
func (m *merge) advance() error {
	first := m.open[0]
	more, err := first.next()
	if err != nil {
		return err
	}
	if more {
		heap.Fix(&m.open, 0)
	} else {
		heap.Pop(&m.open)
	}
	return nil
}

// openSlice opens the slice that ends last.
func (m *merge) openSlice() error {
	slice := m.slices[0]
	m.slices = m.slices[1:]
	var statements []scylla.Statement
	if m.status == nil {
		statements = append(statements, scylla.Bind(selectPins, m.tenant, slice, m.span.after, m.span.before))
	}
	for _, status := range m.status {
		statements = append(statements, scylla.Bind(selectByStatus, m.tenant, string(status), slice, m.span.after, m.span.before))
	}
	for _, statement := range statements {
		src := &source{rows: m.service.db.Rows(m.ctx, gocql.Quorum, listPage, statement), tenant: m.tenant}
		more, err := src.next()
		if err != nil {
			return err
		}
		if more {
			heap.Push(&m.open, src)
		}
	}
	return nil
}

func (m *merge) close() {
	for _, src := range m.open {
		_ = src.rows.Close() // what was not read does not matter
	}
}

// source is the rows of one partition.
type source struct {
	rows   *scylla.Rows
	tenant string
	head   row
}

// next reads the next row into head. It returns false after the last one.
func (s *source) next() (bool, error) {
	s.head = row{}
	if s.rows.Next(s.head.scan()...) {
		s.head.complete(s.tenant)
		return true, nil
	}
	if err := s.rows.Close(); err != nil {
		return false, fmt.Errorf("listing requests: %w", err)
	}
	return false, nil
}

// sources is a heap: the newest head is first, of two of one request the one that was
// written last.
type sources []*source

func (s sources) Len() int      { return len(s) }
func (s sources) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

func (s sources) Less(i, j int) bool {
	a, b := &s[i].head, &s[j].head
	if a.key == b.key {
		return a.stamp > b.stamp
	}
	return a.newer(b.key)
}

// Push and Pop are for package heap.
func (s *sources) Push(x any) {
	if src, ok := x.(*source); ok {
		*s = append(*s, src)
	}
}

// Pop removes the last one.
func (s *sources) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
