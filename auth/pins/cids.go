package pins

import (
	"context"
	"fmt"
	"slices"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// claimsPage is how many claims one answer has.
	claimsPage = 1000
	// readsAtOnce is how many requests are read at a time by what the claims say.
	readsAtOnce = 16
)

// cidWalk walks over the requests of a tenant for some CIDs, by the claims. A claim whose
// request is not there, or not yet, counts for nothing.
type cidWalk struct {
	ctx     context.Context
	service *Service
	tenant  string
	span    span
	claims  []*claimSource
	ready   []row // read and not yet returned
}

// claimSource is the claims of a tenant on one CID, newest first.
type claimSource struct {
	rows *scylla.Rows
	head key
}

func newCIDWalk(ctx context.Context, s *Service, tenant string, q *Query) *cidWalk {
	w := &cidWalk{ctx: ctx, service: s, tenant: tenant, span: q.span()}
	for _, cid := range q.CIDs {
		rows := s.db.Rows(ctx, gocql.Quorum, claimsPage, scylla.Bind(selectTenantClaims, cid, tenant))
		w.claims = append(w.claims, &claimSource{rows: rows, head: key{created: -1}})
	}
	return w
}

// next implements walker. The heads are read by the first call.
func (w *cidWalk) next() (row, bool, error) {
	for len(w.ready) == 0 {
		keys, err := w.some()
		if err != nil {
			return row{}, false, err
		}
		if len(keys) == 0 {
			return row{}, false, nil
		}
		if w.ready, err = w.service.readAll(w.ctx, w.tenant, keys); err != nil {
			return row{}, false, err
		}
	}
	r := w.ready[0]
	w.ready = w.ready[1:]
	return r, true, nil
}

// some returns the next keys, newest first.
func (w *cidWalk) some() ([]key, error) {
	var keys []key
	for len(keys) < readsAtOnce {
		newest := -1
		for i := 0; i < len(w.claims); i++ {
			c := w.claims[i]
			if c.head.created < 0 {
				more, err := c.next(w.span)
				if err != nil {
					return nil, err
				}
				if !more {
					w.claims = slices.Delete(w.claims, i, i+1)
					i--
					continue
				}
			}
			if newest < 0 || c.head.newer(w.claims[newest].head) {
				newest = i
			}
		}
		if newest < 0 {
			break
		}
		keys = append(keys, w.claims[newest].head)
		w.claims[newest].head.created = -1
	}
	return keys, nil
}

// next reads the next claim of the span into head.
func (c *claimSource) next(sp span) (bool, error) {
	for c.rows.Next(&c.head.slice, &c.head.created, &c.head.rnd) {
		if c.head.created > sp.after && c.head.created < sp.before {
			return true, nil
		}
	}
	if err := c.rows.Close(); err != nil {
		return false, fmt.Errorf("reading the claims of a tenant: %w", err)
	}
	return false, nil
}

func (w *cidWalk) close() {
	for _, c := range w.claims {
		_ = c.rows.Close() // what was not read does not matter
	}
}

// readAll reads requests, and leaves out those that are not there.
func (s *Service) readAll(ctx context.Context, tenant string, keys []key) ([]row, error) {
	rows := make([]row, len(keys))
	there := make([]bool, len(keys))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, k := range keys {
		g.Go(func() (err error) {
			rows[i], there[i], err = s.read(ctx, tenant, k)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []row
	for i, r := range rows {
		if there[i] {
			out = append(out, r)
		}
	}
	return out, nil
}
