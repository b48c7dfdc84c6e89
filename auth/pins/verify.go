package pins

import "context"

// Verify looks at all CIDs of which a tenant has a request that is pinned or failed: nothing
// else looks at them again, unless events tell of them. What the cluster does not have any
// more it is asked for again, and requests say what has become of the others. What was pinned
// before anybody was told of it is noted, and told.
//
// It asks the peer for MaxStatus CIDs at a time, reads their claims, and ends with an error if
// the peer or the database does not answer. Calls of one worker take turns. To be called
// daily.
func (w *Worker) Verify(ctx context.Context, tenant string) error {
	m := newMerge(ctx, w.service, tenant, &Query{}, nil)
	defer m.close()
	known := make(map[string]int, MaxStatus) // their places in some
	var some []poll
	for {
		r, more, err := m.next()
		if err != nil {
			return err
		}
		if more && r.Status.Final() {
			i, is := known[r.CID]
			if !is {
				i = len(some)
				known[r.CID] = i
				some = append(some, poll{cid: r.CID, tries: failedPolls}) // one look is enough
			}
			if w.service.told != nil && r.Status == Pinned && r.pinned == 0 && len(some[i].named) < namedMost {
				some[i].named = append(some[i].named, claimant{tenant, r.key})
			}
		}
		if len(some) == MaxStatus || !more && len(some) > 0 {
			if err := w.verify(ctx, some); err != nil {
				return err
			}
			clear(known)
			some = nil
		}
		if !more {
			return nil
		}
	}
}

func (w *Worker) verify(ctx context.Context, some []poll) error {
	w.verifying.Lock()
	defer w.verifying.Unlock()
	return w.tryLook(ctx, some)
}
