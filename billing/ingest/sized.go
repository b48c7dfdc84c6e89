package ingest

import (
	"context"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// sizedAtOnce is how many claims of one CID get their size at a time.
const sizedAtOnce = 256

// enter enters claims without a size, before it is looked whether a peer has told one.
func (in *Ingest) enter(ctx context.Context, groups map[ledger.Key]*group) error {
	cids := make(map[ledger.Key]string)
	for k, g := range groups {
		if g.entered {
			cids[k] = g.entries[0].data.Cid
		}
	}
	in.metrics.add(unsized, len(cids))
	return in.store.PutUnsized(ctx, cids)
}

// findSizes looks whether peers have told the sizes that the claims lack which were entered, and
// notes them: a peer that tells one later finds them.
func (in *Ingest) findSizes(ctx context.Context, groups map[ledger.Key]*group) error {
	lacking := make(map[string]map[ledger.Key]*group)
	for k, g := range groups {
		if !g.entered || len(g.claim.Sizes) > 0 {
			continue
		}
		cid := dataOf(g.claim).Cid
		if lacking[cid] == nil {
			lacking[cid] = make(map[ledger.Key]*group)
		}
		lacking[cid][k] = g
	}
	if len(lacking) == 0 {
		return nil
	}
	cids := make([]string, 0, len(lacking))
	for cid := range lacking {
		cids = append(cids, cid)
	}
	sizes, err := in.store.Sizes(ctx, cids)
	if err != nil {
		return err
	}
	var told []ledger.Told
	again := make(map[ledger.Key]*group)
	for cid, known := range sizes {
		if len(known) > 1 {
			continue // a conflict, which was put aside
		}
		for k, g := range lacking[cid] {
			told = append(told, ledger.Told{Key: k, Source: ledger.Peer, Size: known[0]})
			g.sources = append(g.sources, ledger.Peer)
			again[k] = g
		}
	}
	if len(told) == 0 {
		return nil
	}
	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
	return in.read(ctx, again)
}

// leave removes those claims from the ones without a size that have got one from this batch.
func (in *Ingest) leave(ctx context.Context, groups map[ledger.Key]*group) error {
	cids := make(map[ledger.Key]string)
	for k, g := range groups {
		fromHere := func(by ledger.Source) bool { return slices.Contains(g.sources, by) }
		for _, by := range g.claim.Sizes {
			if g.entered || g.claim.Unsized && fromHere(by) {
				cids[k] = dataOf(g.claim).Cid
			}
		}
	}
	in.metrics.add(sized, len(cids))
	return in.store.DeleteUnsized(ctx, cids)
}

// Sized handles an event of a cluster, see consume.Options.Handler: one that tells how large a
// content is gives the size to the claims of it that lack one. Others it passes over.
func (in *Ingest) Sized(ctx context.Context, e events.Event) error {
	if e.Type != events.PinSized || e.Status == nil || e.Status.Size <= 0 {
		return nil
	}
	cid, size := e.Status.Cid, e.Status.Size
	payload, err := e.Encode()
	if err != nil {
		return fmt.Errorf("encoding a size: %w", err)
	}
	if err := in.store.PutSize(ctx, cid, size, e.Status.Peer, e.Time()); err != nil {
		return err
	}
	known, err := in.store.Sizes(ctx, []string{cid})
	if err != nil {
		return err
	}
	if len(known[cid]) > 1 {
		why := refused(claim.ReasonConflict, fmt.Errorf("peers have told different sizes of %s", cid))
		return in.putAside(ctx, []item{{why, "", payload, e.Time()}})
	}
	var keys []ledger.Key
	flush := func() error {
		defer func() { keys = keys[:0] }()
		return in.size(ctx, keys, size, payload, e)
	}
	err = in.store.EachUnsized(ctx, cid, func(k ledger.Key) error {
		if keys = append(keys, k); len(keys) < sizedAtOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// size gives claims their size.
func (in *Ingest) size(ctx context.Context, keys []ledger.Key, size int64, payload []byte, e events.Event) error {
	known, err := in.store.Claims(ctx, keys)
	if err != nil {
		return err
	}
	var entries []entry
	needless := make(map[ledger.Key]string)
	for _, k := range keys {
		c, ok := known[k]
		if !ok || len(c.Sizes) > 0 && c.Sizes[size] != ledger.Peer { // it was sized by an event of its own
			needless[k] = e.Status.Cid
			continue
		}
		data := dataOf(c)
		data.Size = size
		entries = append(entries, entry{
			told: ledger.Told{Key: k, Source: ledger.Peer, Size: size}, data: data, payload: payload, stored: e.Time(),
		})
	}
	if err := in.store.DeleteUnsized(ctx, needless); err != nil {
		return err
	}
	return in.take(ctx, entries)
}
