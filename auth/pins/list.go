package pins

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// countBeyond is how many requests are looked at after a page was filled, beside as many as
// fit on one, to tell how many match.
const countBeyond = 1000

// span bounds created, both ends exclusive, in milliseconds.
type span struct{ after, before int64 }

func (q *Query) span() span {
	sp := span{after: -1, before: maxCreated}
	if !q.After.IsZero() {
		sp.after = min(max(-1, q.After.UnixMilli()), maxCreated)
	}
	if !q.Before.IsZero() {
		ms := q.Before.UnixMilli()
		if q.Before.After(time.UnixMilli(ms)) {
			ms++ // what is earlier by less than a millisecond is earlier
		}
		sp.before = min(max(0, ms), maxCreated)
	}
	return sp
}

// walker walks over requests, newest first.
type walker interface {
	// next returns false after the last one.
	next() (row, bool, error)
	close()
}

// List returns the newest requests of the tenant that match. Errors: *InvalidError,
// *TooBroadError.
func (s *Service) List(ctx context.Context, tenant string, q Query) (Page, error) {
	q, err := q.checked()
	if err != nil {
		return Page{}, err
	}
	f, err := s.find(ctx, tenant, q)
	if err != nil {
		return Page{}, err
	}
	if n := len(q.Statuses); len(q.CIDs) == 0 && n > 1 && n < len(statuses()) {
		// A request whose status changed from one to another while both lists were read is in
		// neither, if the one it came to was read first. The second time it is in one.
		again, err := s.find(ctx, tenant, q)
		if err != nil {
			return Page{}, err
		}
		f = f.and(again, q.Limit)
	}
	page := Page{Count: f.count, Exact: f.exact, Results: make([]Request, len(f.rows))}
	for i := range f.rows {
		page.Results[i] = f.rows[i].Request
	}
	return page, nil
}

// OfCID returns the requests of the tenant for one CID, newest first, at most MaxLimit.
// Errors: *InvalidError.
func (s *Service) OfCID(ctx context.Context, tenant, cid string) ([]Request, error) {
	page, err := s.List(ctx, tenant, Query{CIDs: []string{cid}, Limit: MaxLimit})
	if err != nil {
		return nil, err
	}
	return page.Results[:min(len(page.Results), MaxLimit)], nil
}

// found are the rows of a page.
type found struct {
	rows  []row
	more  bool // there are older ones that match
	count int
	exact bool
}

// find walks until a page is full, and on for a while to count.
func (s *Service) find(ctx context.Context, tenant string, q Query) (found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.walk(ctx, tenant, &q)
	if err != nil {
		return found{}, err
	}
	defer w.close()
	matches := q.matcher()
	var f found
	begun := time.Now()
	for walked, beyond := 0, 0; ; walked++ {
		r, ok, err := w.next()
		if err != nil {
			return found{}, err
		}
		if !ok {
			f.exact = true
			break
		}
		late := time.Since(begun) > s.walkTime
		if f.more {
			if beyond++; beyond > q.Limit+countBeyond || late {
				break
			}
		} else if late && walked >= s.walkLeast {
			return found{}, &TooBroadError{Walked: walked}
		}
		if !matches(&r) {
			continue
		}
		f.count++
		if f.more {
			continue
		}
		f.rows = append(f.rows, r)
		f.cut(q.Limit)
	}
	return f, nil
}

// cut ends the page before the millisecond that does not fit on it whole, unless that is
// all of it.
func (f *found) cut(limit int) {
	last := len(f.rows) - 1
	if last < limit || f.rows[0].created == f.rows[last].created {
		return
	}
	at := slices.IndexFunc(f.rows, func(r row) bool { return r.created == f.rows[limit].created })
	if at == 0 { // a millisecond that fills the page alone
		at = slices.IndexFunc(f.rows, func(r row) bool { return r.created < f.rows[0].created })
	}
	f.rows, f.more = f.rows[:at], true
}

// and joins what two walks with one query have found.
func (f *found) and(other found, limit int) found {
	end := int64(math.MinInt64)
	for _, one := range []*found{f, &other} {
		if one.more {
			end = max(end, one.rows[len(one.rows)-1].created)
		}
	}
	all := slices.Concat(f.rows, other.rows)
	slices.SortFunc(all, func(a, b row) int {
		switch {
		case a.key == b.key:
			return int(b.stamp - a.stamp)
		case a.newer(b.key):
			return -1
		default:
			return 1
		}
	})
	all = slices.CompactFunc(all, func(a, b row) bool { return a.key == b.key })
	joined := found{count: max(f.count, other.count), exact: f.exact && other.exact}
	for _, r := range all {
		if r.created < end {
			break
		}
		if joined.rows = append(joined.rows, r); len(joined.rows) > limit {
			if joined.cut(limit); joined.more {
				break
			}
		}
	}
	joined.more = joined.more || f.more || other.more
	joined.count = max(joined.count, len(joined.rows))
	return joined
}

// walk returns a walker over all requests that may match.
func (s *Service) walk(ctx context.Context, tenant string, q *Query) (walker, error) {
	switch n := len(q.Statuses); {
	case tenant == "":
		return nil, errors.New("a list needs a tenant")
	case len(q.CIDs) > 0:
		return newCIDWalk(ctx, s, tenant, q), nil
	case n == 0 || n == len(statuses()):
		return newMerge(ctx, s, tenant, q, nil), nil
	default:
		return newMerge(ctx, s, tenant, q, q.Statuses), nil
	}
}
