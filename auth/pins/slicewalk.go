package pins

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// slicesPage is how many slices one answer of the database has.
	slicesPage = 100
	// peekPage is how many rows the first answer has of a slice that has shorter ones in its
	// time: it was full before they were begun, and its rows are mostly older than theirs.
	peekPage = 10
)

// sliceWalk opens the slices of a tenant that may have rows of a span, one that ends later
// before one that ends earlier. The table has them by their start; but a slice is there only
// if those of each longer level that have its time are, so these come with it, before it.
// The slice after the one that is asked for is opened ahead.
type sliceWalk struct {
	ctx     context.Context
	cancel  context.CancelFunc
	service *Service
	tenant  string
	span    span
	status  []Status // nil for the table pins

	slices *scylla.Rows
	queue  []*opening
	last   [levels]int64 // of each level the one that was queued last
	ended  bool          // there are no more slices
}

// opening is a slice that is being opened.
type opening struct {
	end    int64
	opened chan openedSlice // gets one
}

// openedSlice is what has rows, by status.
type openedSlice struct {
	sources []*source
	err     error
}

func newSliceWalk(ctx context.Context, s *Service, tenant string, sp span, status []Status) *sliceWalk {
	w := &sliceWalk{service: s, tenant: tenant, span: sp, status: status}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.slices = s.db.Rows(w.ctx, gocql.Quorum, slicesPage, scylla.Bind(selectSlices, tenant,
		(sp.after-lengthOf(0))*sliceRoom, sp.before*sliceRoom))
	for level := range w.last {
		w.last[level] = -1
	}
	return w
}

// end returns when the next slice ends, and false after the last one.
func (w *sliceWalk) end() (int64, bool, error) {
	if len(w.queue) == 0 {
		if err := w.enqueue(); err != nil {
			return 0, false, err
		}
	}
	if len(w.queue) == 0 {
		return 0, false, nil
	}
	return w.queue[0].end, true, nil
}

// next returns what the next slice has, which may be nothing.
func (w *sliceWalk) next() ([]*source, error) {
	first := w.queue[0]
	w.queue = w.queue[1:]
	if len(w.queue) == 0 {
		if err := w.enqueue(); err != nil {
			w.queue = append(w.queue, first)
			return nil, err
		}
	}
	opened := <-first.opened
	return opened.sources, opened.err
}

// enqueue begins to open the next slice, and those of longer levels around it.
func (w *sliceWalk) enqueue() error {
	for slice := int64(0); !w.ended; {
		if !w.slices.Next(&slice) {
			w.ended = true
			if err := w.slices.Close(); err != nil {
				return fmt.Errorf("reading the slices of a tenant: %w", err)
			}
			return nil
		}
		if levelOf(slice) >= levels || endOf(slice) <= w.span.after {
			continue
		}
		for level := 0; level < levelOf(slice); level++ {
			w.begin(sliceOf(startOf(slice), level), peekPage)
		}
		w.begin(slice, listPage)
		if len(w.queue) > 0 {
			return nil
		}
	}
	return nil
}

// begin begins to open a slice, unless it has been.
func (w *sliceWalk) begin(slice int64, first int) {
	last := &w.last[levelOf(slice)]
	if *last == slice {
		return
	}
	*last = slice
	o := &opening{end: endOf(slice), opened: make(chan openedSlice, 1)}
	w.queue = append(w.queue, o)
	go func() { o.opened <- w.openSlice(slice, first) }()
}

func (w *sliceWalk) openSlice(slice int64, first int) (opened openedSlice) {
	var statements []scylla.Statement
	scan := (*row).scan
	if w.status == nil {
		scan = (*row).scanPin
		statements = append(statements, scylla.Bind(selectPins, w.tenant, slice, w.span.after, w.span.before))
	}
	for _, status := range w.status {
		statements = append(statements, scylla.Bind(selectByStatus, w.tenant, string(status), slice, w.span.after, w.span.before))
	}
	for _, statement := range statements {
		src := &source{rows: w.service.db.Rows(w.ctx, gocql.Quorum, listPage, statement).StartWith(first), tenant: w.tenant, scan: scan}
		more, err := src.next()
		if more {
			opened.sources = append(opened.sources, src)
		}
		if err != nil {
			opened.err = err
			break
		}
	}
	return opened
}

// close ends what is being opened.
func (w *sliceWalk) close() {
	w.cancel()
	_ = w.slices.Close() // what was not read does not matter
	for _, o := range w.queue {
		for _, src := range (<-o.opened).sources {
			_ = src.rows.Close() // the same
		}
	}
}
