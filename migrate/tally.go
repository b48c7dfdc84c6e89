package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
)

// tally is what is counted by something that there may be many of.
type tally struct {
	replication map[[2]int]int64
	peers       map[peer.ID]int64
	large       largePins
	now         time.Time
}

// read counts the pins of the source.
func (p *Plan) read(ctx context.Context, src source.Source, total int64, meter *meter) error {
	t := &tally{replication: make(map[[2]int]int64), peers: make(map[peer.ID]int64), now: time.Now()}
	bad := badRecords{}
	meter.begin(PhaseReading, 0, total, 0)
	err := src.Read(ctx, source.Position{},
		func(rec source.Record) error {
			problem, err := p.add(rec, t)
			if err != nil {
				return err
			}
			if problem != nil {
				bad.add(place(rec), problem)
			}
			p.Records = rec.After.Records
			meter.at(p.Records, bad.n)
			return nil
		},
		func(b source.Bad) error {
			bad.add(b.At, b.Err)
			p.Records = b.After.Records
			meter.at(p.Records, bad.n)
			return nil
		})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	meter.end()
	p.Bad, p.BadRecords = bad.n, bad.list
	p.TooLarge, p.TooLargePins = t.large.n, t.large.list
	for factors, n := range t.replication {
		p.Replication = append(p.Replication, PlanReplication{Min: factors[0], Max: factors[1], Pins: n})
	}
	slices.SortFunc(p.Replication, func(a, b PlanReplication) int {
		return cmp.Or(cmp.Compare(a.Min, b.Min), cmp.Compare(a.Max, b.Max))
	})
	for id, n := range t.peers {
		p.Peers = append(p.Peers, PlanPeer{ID: id, Pins: n, Mapped: p.Change.Peers[id]})
	}
	slices.SortFunc(p.Peers, func(a, b PlanPeer) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	return nil
}

// add counts one record.
func (p *Plan) add(rec source.Record, t *tally) (bad, err error) {
	pin, bad := decodePin(rec.Cid, rec.Value)
	if bad != nil {
		return bad, nil
	}
	changed, err := p.Change.overwrite(&pin)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(pin.Allocations)
	value := rec.Value
	changed = p.Change.rename(&pin) || changed
	if changed {
		if value, bad = pin.ProtoMarshal(); bad != nil {
			return bad, nil
		}
	}
	if tooLarge(value) {
		t.large.add(rec.Cid, len(value))
		return nil, nil
	}
	if changed {
		p.Changed++
	}
	p.Pins++
	p.Bytes += int64(len(value))
	p.Types[pin.Type.String()]++
	t.replication[[2]int{pin.ReplicationFactorMin, pin.ReplicationFactorMax}]++
	if !pin.ExpireAt.IsZero() {
		p.Expiring++
	}
	if pin.ExpiredAt(t.now) {
		p.Expired++
	}
	switch {
	case pin.IsPinEverywhere():
		p.Everywhere++
	case len(names) == 0:
		p.Unallocated++
	default:
		slices.Sort(names)
		for _, id := range slices.Compact(names) {
			t.peers[id]++
		}
	}
	return nil, nil
}
