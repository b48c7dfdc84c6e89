package pinsvc

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
)

func (a *API) add(w http.ResponseWriter, r *http.Request) {
	pin, err := body(w, r)
	if err == nil {
		pin, err = a.pin(r.Context(), pin)
	}
	a.accepted(w, r, pin, err)
}

func (a *API) replace(w http.ResponseWriter, r *http.Request) {
	old, err := requestID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	pin, err := body(w, r)
	if err == nil {
		pin, err = a.exchange(r.Context(), old, pin)
	}
	a.accepted(w, r, pin, err)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) {
	c, err := requestID(r)
	if err == nil {
		err = a.unpin(r.Context(), c)
	}
	if err != nil {
		a.fail(w, err)
		return
	}
	a.SendResponse(w, http.StatusAccepted, nil, nil)
}

func (a *API) get(w http.ResponseWriter, r *http.Request) {
	c, err := requestID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	status, pinned, err := a.status(r.Context(), c)
	if err == nil && !pinned {
		err = errNotFound
	}
	if err != nil {
		a.fail(w, err)
		return
	}
	a.SendResponse(w, http.StatusOK, nil, status)
}

// accepted answers that a pin will be made.
func (a *API) accepted(w http.ResponseWriter, r *http.Request, pin api.Pin, err error) {
	if err != nil {
		a.fail(w, err)
		return
	}
	a.SendResponse(w, http.StatusAccepted, nil, pinsvc.PinStatus{
		RequestID: pin.Cid.String(), Status: pinsvc.StatusQueued, Created: created(pin.Cid, pin.Timestamp), Info: info(),
		Pin:       pinsvc.Pin{Cid: pin.Cid, Name: pinsvc.PinName(pin.Name), Origins: pin.Origins, Meta: pin.Metadata},
		Delegates: a.delegates(r.Context(), pin),
	})
}

func (a *API) pin(ctx context.Context, pin api.Pin) (made api.Pin, err error) {
	err = a.client.CallContext(ctx, "", "Cluster", "Pin", pin, &made)
	return made, err
}

func (a *API) unpin(ctx context.Context, c api.Cid) error {
	return a.client.CallContext(ctx, "", "Cluster", "Unpin", api.PinCid(c), new(api.Pin))
}

// exchange makes a pin in place of another, which must exist: with its replication
// factors, and on its peers as far as they are alive.
func (a *API) exchange(ctx context.Context, id api.Cid, pin api.Pin) (api.Pin, error) {
	var old api.Pin
	if err := a.client.CallContext(ctx, "", "Cluster", "PinGet", id, &old); err != nil {
		return api.Pin{}, err
	}
	pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.UserAllocations = old.ReplicationFactorMin, old.ReplicationFactorMax, old.Allocations
	if pin.Cid == id {
		return a.pin(ctx, pin)
	}
	made, err := a.update(ctx, old, pin)
	if err != nil {
		return api.Pin{}, err
	}
	if err := a.unpin(ctx, id); err != nil && !isNotFound(err) { // somebody else may have removed it
		return api.Pin{}, err
	}
	return made, nil
}

// update makes a pin as an update of another: IPFS then compares the two, rather than
// to walk all that it has already. Upstream's update takes over all options but a name,
// so that it is asked for where these are the wanted ones.
func (a *API) update(ctx context.Context, old, pin api.Pin) (api.Pin, error) {
	old.Name = cmp.Or(pin.Name, old.Name)
	if !sameOptions(old, pin) {
		return a.pin(ctx, pin)
	}
	update := pin
	update.PinUpdate = old.Cid
	made, err := a.pin(ctx, update)
	if err != nil || sameOptions(made, pin) {
		return made, err
	}
	return a.pin(ctx, pin) // somebody has changed the other one since it was read
}

// sameOptions reports whether a pin has the options of one that a request asks for.
func sameOptions(pin, wanted api.Pin) bool {
	return pin.Name == wanted.Name && pin.MaxDepth == wanted.MaxDepth && !runsOut(pin) &&
		maps.Equal(pin.Metadata, wanted.Metadata) && slices.EqualFunc(pin.Origins, wanted.Origins, sameAddress)
}

func runsOut(pin api.Pin) bool { return pin.ExpireAt.Unix() > 0 }

func sameAddress(a, b api.Multiaddr) bool { return a.Equal(b.Value()) }

// delegates are addresses of the IPFS daemons that will hold a pin.
func (a *API) delegates(ctx context.Context, pin api.Pin) []api.Multiaddr {
	peers := pin.Allocations
	if pin.IsPinEverywhere() {
		if err := a.client.CallContext(ctx, "", "Consensus", "Peers", struct{}{}, &peers); err != nil {
			logger.Warnf("naming the delegates of %s: %s", pin.Cid, err)
		}
	}
	named := make(delegates, 0, maxDelegates)
	for _, p := range peers {
		if named.full() {
			break
		}
		var id api.IPFSID
		if err := a.client.CallContext(ctx, "", "Cluster", "IPFSID", p, &id); err != nil {
			logger.Warnf("naming the delegates of %s: %s", pin.Cid, err)
			continue
		}
		named.add(id.Addresses)
	}
	return named
}

// maxDelegates is how many the specification allows.
const maxDelegates = 20

// delegates are addresses, each once.
type delegates []api.Multiaddr

func (d *delegates) full() bool { return len(*d) == maxDelegates }

func (d *delegates) add(addresses []api.Multiaddr) {
	for _, addr := range addresses {
		if !d.full() && !slices.ContainsFunc(*d, func(other api.Multiaddr) bool { return sameAddress(addr, other) }) {
			*d = append(*d, addr)
		}
	}
}
