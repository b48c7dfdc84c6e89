package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var errDown = errors.New("the database is gone")

// pinset is a pinset in memory, with all pins that were added.
type pinset struct {
	Store // not used but for what follows

	mu    sync.Mutex
	pins  map[api.Cid]api.Pin
	bad   map[api.Cid]bool // cannot be decoded
	down  bool
	walks int
	// owning is called when the pins of a peer are listed.
	owning func()
}

func (p *pinset) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *pinset) get(c api.Cid) (*api.Pin, error) {
	if p.bad[c] {
		return nil, fmt.Errorf("%s%w", state.CorruptText(c), state.ErrCorrupt)
	}
	if pin, ok := p.pins[c]; ok {
		return &pin, nil
	}
	return nil, nil
}

func (p *pinset) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, state.Revision{}, errDown
	}
	pin, err := p.get(c)
	return pin, state.Revision{}, err
}

func (p *pinset) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	for i, c := range cids {
		pin, err := p.get(c)
		f(i, pin, state.Revision{}, err)
	}
	return nil
}

// ListOwn lists everything.
func (p *pinset) ListOwn(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	p.mu.Lock()
	down := p.down
	all := p.ordered()
	p.mu.Unlock()
	if p.owning != nil {
		p.owning()
	}
	if down {
		return errDown
	}
	for _, c := range all {
		if after.Cid.Defined() && state.PlaceOf(c).Compare(after) <= 0 {
			continue
		}
		if err := f(state.Own{Cid: c}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pinset) ordered() []api.Cid {
	var all []api.Cid
	for c := range p.pins {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b api.Cid) int { return state.PlaceOf(a).Compare(state.PlaceOf(b)) })
	return all
}

func (p *pinset) ScanPiece(_ context.Context, _, _ int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	p.mu.Lock()
	p.walks++
	down := p.down
	all := p.ordered()
	p.mu.Unlock()
	if down {
		return errDown
	}
	for _, c := range all {
		pin, err := p.get(c)
		if err != nil {
			bad(c, err)
			continue
		}
		if err := f(*pin, state.Revision{}); err != nil {
			return err
		}
	}
	return nil
}
