package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/peerapi"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

const (
	// mark is the entry of a pin's metadata that says which gateway made it.
	mark = "gateway"
	// askedAtOnce is of how many pins peers are asked at the same time.
	askedAtOnce = 8
	// learnEvery is how often the addresses of the cluster's IPFS daemons are asked for.
	learnEvery = time.Minute
)

// peer is the cluster as package pins wants it.
type peer struct {
	client *peerapi.Client
	name   string
	// asked is told of each request for what pins need, and what came of it.
	asked func(operation string, err error)
	known atomic.Pointer[[]string]
}

func newPeer(conf config.Config, asked func(string, error)) (*peer, error) {
	client, err := peerapi.New(peerapi.Config{
		URLs: conf.Peers.URLs, User: conf.Peers.Username, PasswordFile: conf.Resolve(conf.Peers.PasswordFile), CAFile: conf.Resolve(conf.Peers.CAFile),
	})
	if err != nil {
		return nil, err
	}
	return &peer{client: client, name: conf.Name, asked: asked}, nil
}

// Pin implements pins.Peer.
func (p *peer) Pin(ctx context.Context, pin pins.PeerPin) (err error) {
	defer func() { p.asked("pin", err) }()
	_, err = p.client.Pin(ctx, pin.CID, peerapi.Options{
		ReplMin: pin.ReplMin, ReplMax: pin.ReplMax, Origins: pin.Origins, Metadata: map[string]string{mark: p.name},
	})
	if errors.Is(err, peerapi.ErrReplication) {
		return fmt.Errorf("%w: %w", pins.ErrRefused, err)
	}
	return err
}

// Unpin implements pins.Peer.
func (p *peer) Unpin(ctx context.Context, cid string) (err error) {
	defer func() { p.asked("unpin", err) }()
	pin, found, err := p.client.Allocation(ctx, cid)
	if err != nil || !found || pin.Metadata[mark] != p.name {
		return err
	}
	return p.client.Unpin(ctx, cid)
}

// Status implements pins.Peer.
func (p *peer) Status(ctx context.Context, cids []string) (_ []pins.PeerStatus, err error) {
	defer func() { p.asked("status", err) }()
	all := make([]pins.PeerStatus, len(cids))
	var states map[string]peerapi.Status
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	group.Go(func() (err error) {
		states, err = p.client.Status(ctx, cids)
		return err
	})
	for i, cid := range cids {
		group.Go(func() error {
			pin, found, err := p.client.Allocation(ctx, cid)
			all[i] = pins.PeerStatus{CID: cid, Present: found, Ours: pin.Metadata[mark] == p.name, ReplMin: pin.ReplMin, ReplMax: pin.ReplMax}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("asking peers for %d CIDs: %w", len(cids), err)
	}
	for i := range all {
		setState(&all[i], states[all[i].CID])
	}
	return all, nil
}

// setState sets what peers do. A pin that is in the pinset and of which no peer knows yet is
// queued.
func setState(of *pins.PeerStatus, state peerapi.Status) {
	of.Status = pins.Queued
	if state.State != peerapi.StateUnpinned {
		of.Status = pins.Status(state.State)
	}
	of.Delegates = state.Delegates
	for _, holder := range state.Holders {
		if holder.Error == "" {
			continue
		}
		if of.Errors == nil {
			of.Errors = make(map[string]string)
		}
		of.Errors[holder.ID] = holder.Error
	}
}

// delegates are addresses of the cluster's IPFS daemons, none until a peer has told.
func (p *peer) delegates() []string {
	if known := p.known.Load(); known != nil {
		return *known
	}
	return nil
}

// learn asks for the addresses of the cluster's IPFS daemons until ctx ends.
func (p *peer) learn(ctx context.Context) {
	pause, failed := time.Second, false
	for {
		addresses, err := p.client.Addresses(ctx)
		if err == nil {
			p.known.Store(&addresses)
			pause, failed = learnEvery, false
		} else {
			if !failed && ctx.Err() == nil {
				logger.Warnf("no peer of the cluster says the addresses of its IPFS daemon: %s", err)
			}
			pause, failed = min(2*pause, learnEvery), true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
