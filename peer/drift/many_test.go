package drift

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// many is a pinset of n pins that every peer holds, and an IPFS that has all of them but one
// of so many as lacks says. It keeps none of them, only their order.
type many struct {
	Store

	n, lacks int
	order    []uint32
}

func newMany(n, lacks int) many {
	m := many{n: n, lacks: lacks, order: make([]uint32, n)}
	places := make([]state.Place, n)
	for i := range places {
		m.order[i], places[i] = uint32(i), state.PlaceOf(m.cid(i))
	}
	slices.SortFunc(m.order, func(a, b uint32) int { return places[a].Compare(places[b]) })
	return m
}

func (m many) cid(i int) api.Cid {
	hash, err := mh.Encode(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)), mh.SHA2_256)
	if err != nil {
		panic(err)
	}
	return api.NewCid(cid.NewCidV1(cid.Raw, hash))
}

func (m many) index(c api.Cid) int {
	key := c.Bytes()
	return int(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func (m many) ListOwn(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	for _, i := range m.order {
		c := m.cid(int(i))
		if state.PlaceOf(c).Compare(after) <= 0 {
			continue
		}
		if err := f(state.Own{Cid: c, Everywhere: true}); err != nil {
			return err
		}
	}
	return nil
}

func (m many) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	for i, c := range cids {
		pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1})
		f(i, &pin, revision(old), nil)
	}
	return nil
}

func (m many) GetPlacement(context.Context, peer.ID, api.Cid) (row state.Placement, there bool, err error) {
	return row, false, nil
}

func (m many) List(_ context.Context, mode api.PinMode, f func(api.Cid) error) error {
	for i := range m.n {
		if mode == api.PinModeDirect || m.lacks > 0 && i%m.lacks == 0 {
			continue
		}
		if err := f(m.cid(i)); err != nil {
			return err
		}
	}
	return nil
}

func (m many) Has(_ context.Context, c api.Cid, mode api.PinMode) (bool, error) {
	return mode == api.PinModeRecursive && (m.lacks == 0 || m.index(c)%m.lacks != 0), nil
}
