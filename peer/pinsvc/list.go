package pinsvc

import (
	"container/heap"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many pins are asked for at the same time.
const atOnce = 10

// list answers with the newest pins that match, and how many do.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	opts, err := query(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	found := &newest{limit: int(opts.Limit)}
	take := func(all api.GlobalPinInfo) {
		if status, pinned := statusOf(all); pinned && matches(status, opts) {
			found.add(status)
		}
	}
	if len(opts.Cids) > 0 {
		err = a.each(r.Context(), opts.Cids, take)
	} else {
		err = a.every(r.Context(), take)
	}
	if err != nil {
		a.fail(w, err)
		return
	}
	a.SendResponse(w, http.StatusOK, nil, pinsvc.PinList{Count: found.count, Results: found.results()})
}

// matches reports whether a pin is one of those that are asked for.
func matches(s pinsvc.PinStatus, opts pinsvc.ListOptions) bool {
	return s.Status&opts.Status != 0 &&
		(opts.After.IsZero() || s.Created.After(opts.After)) &&
		(opts.Before.IsZero() || s.Created.Before(opts.Before)) &&
		s.Pin.MatchesName(opts.Name, opts.MatchingStrategy) && hasMeta(s.Pin.Meta, opts.Meta)
}

// hasMeta reports whether all that is wanted is there. To upstream's what is missing is
// the same as an empty value.
func hasMeta(meta, wanted map[string]string) bool {
	for key, value := range wanted {
		if got, there := meta[key]; !there || got != value {
			return false
		}
	}
	return true
}

// each asks for some pins, and hands them on one after another.
func (a *API) each(ctx context.Context, cids []api.Cid, take func(api.GlobalPinInfo)) error {
	all := make([]api.GlobalPinInfo, len(cids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, c := range cids {
		g.Go(func() error { return a.client.CallContext(ctx, "", "Cluster", "Status", c, &all[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	seen := make(map[api.Cid]bool)
	for _, one := range all {
		if !seen[one.Cid] {
			seen[one.Cid] = true
			take(one)
		}
	}
	return nil
}

// every asks for all pins. There is no filter: with one, only the peers that match
// would be heard, and a list would say something else than the answer about one pin.
func (a *API) every(ctx context.Context, take func(api.GlobalPinInfo)) error {
	in, out := make(chan api.TrackerStatus, 1), make(chan api.GlobalPinInfo, atOnce)
	in <- api.TrackerStatusPinned | api.TrackerStatusPinning | api.TrackerStatusPinQueued | api.TrackerStatusUnexpectedlyUnpinned |
		api.TrackerStatusPinError | api.TrackerStatusClusterError
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- a.client.Stream(ctx, "", "Cluster", "StatusAll", in, out) }()
	for all := range out {
		take(all)
	}
	return <-listed
}

// newest keeps the pins that were made last, as many as limit says, and counts all.
type newest struct {
	limit int
	count uint64
	heap  byAge
}

func (n *newest) add(s pinsvc.PinStatus) {
	n.count++
	heap.Push(&n.heap, s)
	if len(n.heap) > n.limit {
		heap.Pop(&n.heap)
	}
}

// results are what is kept, the newest first.
func (n *newest) results() []pinsvc.PinStatus {
	out := []pinsvc.PinStatus(n.heap)
	slices.SortFunc(out, func(a, b pinsvc.PinStatus) int { return compareAge(b, a) })
	if out == nil {
		out = []pinsvc.PinStatus{}
	}
	return out
}

// compareAge orders by time, and what has the same by request id.
func compareAge(a, b pinsvc.PinStatus) int {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	return strings.Compare(a.RequestID, b.RequestID)
}

// byAge implements heap.Interface, the oldest first.
type byAge []pinsvc.PinStatus

func (h byAge) Len() int           { return len(h) }
func (h byAge) Less(i, j int) bool { return compareAge(h[i], h[j]) < 0 }
func (h byAge) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byAge) Push(x any)        { *h = append(*h, x.(pinsvc.PinStatus)) } //nolint:forcetypeassert // only add pushes

func (h *byAge) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
