package pins

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// listPage is how many rows one answer of the database has, while a list is walked.
const listPage = 500

// merge walks over the rows of a tenant: of the table pins, or of the lists by status. Slices
// are opened when the walk comes to their end. A request that is in two lists, because its
// status is just being changed, counts with the newer one.
type merge struct {
	slices *sliceWalk
	open   sources
	last   *key
}

func newMerge(ctx context.Context, s *Service, tenant string, q *Query, status []Status) *merge {
	return &merge{slices: newSliceWalk(ctx, s, tenant, q.span(), status)}
}

func (m *merge) next() (row, bool, error) {
	for {
		if err := m.openSlices(); err != nil {
			return row{}, false, err
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

// openSlices opens those that may have rows before the first head.
func (m *merge) openSlices() error {
	for {
		end, ok, err := m.slices.end()
		if err != nil {
			return err
		}
		if !ok || len(m.open) > 0 && end <= m.open[0].head.created {
			return nil
		}
		opened, err := m.slices.next()
		for _, src := range opened {
			heap.Push(&m.open, src)
		}
		if err != nil {
			return err
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

func (m *merge) close() {
	m.slices.close()
	for _, src := range m.open {
		_ = src.rows.Close() // what was not read does not matter
	}
}

// source is the rows of one partition.
type source struct {
	rows   *scylla.Rows
	tenant string
	scan   func(*row) []any
	head   row
}

// next reads the next row into head. It returns false after the last one.
func (s *source) next() (bool, error) {
	s.head = row{}
	if s.rows.Next(s.scan(&s.head)...) {
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
