package pins

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// What of an observation is stored, so that a row stays small and the batch below what
// Cassandra warns of.
const (
	maxInfo      = 10  // peers whose error is told
	maxInfoText  = 150 // bytes of each
	maxDelegates = 20
	maxDelegate  = 150 // bytes of each
)

// stampOf is the timestamp of a write that says what was seen then. The last two bits tell
// the status, so no two writes with one timestamp say different ones: both would delete the
// row of the other, and with one timestamp a deletion wins.
func stampOf(seen time.Time, status Status) int64 {
	µs := seen.UnixMicro()
	return µs - µs%4 + int64(slices.Index(statuses(), status))
}

// observation is what a peer has told.
type observation struct {
	// begun is before the peer was asked, and before rows are read.
	begun     time.Time
	status    Status
	info      map[string]string // of any request, see infoFor
	delegates []string
	size      int64
	// replMin and replMax are those of the pin, 0 if they are not known.
	replMin, replMax int
	// ours says that the pin has the gateway's mark.
	ours bool
}

func observed(begun time.Time, st PeerStatus) observation {
	o := observation{begun: begun, status: st.Status, info: make(map[string]string), size: max(0, st.Size)}
	if !st.Present || !slices.Contains(statuses(), st.Status) {
		o.status = Queued
	}
	for _, peer := range slices.Sorted(maps.Keys(st.Errors)) {
		if len(o.info) < maxInfo && len(peer) <= maxInfoText && st.Errors[peer] != "" {
			o.info[peer] = shortened(st.Errors[peer])
		}
	}
	for _, d := range st.Delegates {
		if len(o.delegates) < maxDelegates && len(d) <= maxDelegate {
			o.delegates = append(o.delegates, d)
		}
	}
	slices.Sort(o.delegates)
	o.delegates = slices.Compact(o.delegates)
	if st.Present {
		o.replMin, o.replMax, o.ours = st.ReplMin, st.ReplMax, st.Ours
	}
	return o
}

// infoFor is the info of a request. One for more copies than the pin is to have is told so.
func (o *observation) infoFor(r *row) map[string]string {
	if o.replMin == 0 || o.replMax == 0 || !more(r.ReplMin, o.replMin) && !more(r.ReplMax, o.replMax) {
		return o.info
	}
	info := maps.Clone(o.info)
	info["replication"] = fmt.Sprintf("asked for %s, and the cluster makes %s", copies(r.ReplMin, r.ReplMax), copies(o.replMin, o.replMax))
	return info
}

// copies says replication factors.
func copies(replMin, replMax int) string {
	switch replMin {
	case -1:
		return "a copy on every peer"
	case replMax:
		return fmt.Sprintf("copies on %d peers", replMax)
	default:
		return fmt.Sprintf("copies on %d to %d peers", replMin, replMax)
	}
}

// shortened is the beginning of a text that may be long.
func shortened(text string) string {
	for i := range text {
		if i > maxInfoText-3 {
			return text[:i] + "…"
		}
	}
	return text
}

// same reports whether the request says it already.
func (o *observation) same(r *row) bool {
	return r.Status == o.status && maps.Equal(r.Info, o.info) && slices.Equal(r.Delegates, o.delegates) && (o.size == 0 || r.Size == o.size)
}

// tell makes a request say what was observed. It returns false if the request says what was
// observed later, by the clock of whoever did: then it is to be looked at again.
//
// The row of the new status is there before those of the others go: who reads all of them
// finds it in one. The request itself goes with the others, so what a crash leaves between
// is a request that does not say what was observed yet.
func (s *Service) tell(ctx context.Context, tenant string, k key, o observation) (told bool, err error) {
	r, found, err := s.read(ctx, tenant, k)
	if err != nil {
		return false, err
	}
	if !found {
		return true, nil
	}
	o.info = o.infoFor(&r)
	if o.same(&r) {
		return s.noteAlone(ctx, &r, &o)
	}
	stamp := stampOf(o.begun, o.status)
	if stamp <= r.stamp {
		return false, nil
	}
	if err := s.at("tell: read"); err != nil {
		return false, err
	}
	note, soon, err := s.noting(ctx, &r, &o)
	if err != nil || !soon {
		return false, err
	}
	grown := int64(0)
	if o.size == 0 {
		o.size = r.Size
	} else {
		grown = o.size - r.Size
	}
	r.Info, r.Delegates, r.Size = o.info, o.delegates, o.size
	if err := s.db.Write(ctx, r.insert(insertByStatus, o.status, stamp)); err != nil {
		return false, fmt.Errorf("changing the status of a request: %w", err)
	}
	if err := s.at("tell: inserted"); err != nil {
		return false, err
	}
	all := []scylla.Statement{scylla.Bind(updatePin, stamp, string(o.status), notNil(r.Info), listNotNil(r.Delegates), r.Size, tenant, k.slice, k.created, k.rnd)}
	for _, other := range statuses() {
		if other != o.status {
			all = append(all, scylla.Bind(deleteByStatus, stamp, tenant, string(other), k.slice, k.created, k.rnd))
		}
	}
	if err := s.db.WriteLogged(ctx, append(all, note...)); err != nil {
		return false, fmt.Errorf("changing the status of a request: %w", err)
	}
	if grown != 0 {
		s.usage.grow(tenant, grown)
	}
	return true, nil
}
