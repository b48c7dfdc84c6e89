package pinsvc

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/status"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("pinsvc")

// info is what each answer says of the API.
func info() map[string]string {
	return map[string]string{
		"source":  "ipfs-cluster-scylla",
		"warning": "the request id is the CID: one pin for all who ask for it",
	}
}

// status asks for one pin. It returns false if there is none.
func (a *API) status(ctx context.Context, c api.Cid) (pinsvc.PinStatus, bool, error) {
	var all api.GlobalPinInfo
	if err := a.client.CallContext(ctx, "", "Cluster", "Status", c, &all); err != nil {
		return pinsvc.PinStatus{}, false, err
	}
	found, pinned := statusOf(all)
	return found, pinned, nil
}

// notHolding are the statuses of peers that are not to hold the pin.
const notHolding = api.TrackerStatusRemote | api.TrackerStatusSharded | api.TrackerStatusUnpinned |
	api.TrackerStatusUnpinQueued | api.TrackerStatusUnpinning | api.TrackerStatusUnpinError

// statusOf is what the peers that are to hold a pin say of it. It returns false if no
// peer is.
func statusOf(all api.GlobalPinInfo) (pinsvc.PinStatus, bool) {
	var said api.TrackerStatus
	var holders []string
	corrupt := false
	named := make(delegates, 0, maxDelegates)
	for _, id := range slices.Sorted(maps.Keys(all.PeerMap)) { // the same order at each look
		if p := all.PeerMap[id]; p.Status&notHolding == 0 {
			holders = append(holders, id)
			if !status.Absent(p) {
				said |= p.Status
			}
			corrupt = corrupt || strings.Contains(p.Error, state.CorruptText(all.Cid))
			named.add(p.IPFSAddresses)
		}
	}
	out := pinsvc.PinStatus{
		RequestID: all.Cid.String(), Status: statusFor(said), Created: created(all.Cid, all.Created), Info: info(), Delegates: named,
		Pin: pinsvc.Pin{Cid: all.Cid, Name: pinsvc.PinName(all.Name), Origins: all.Origins, Meta: all.Metadata},
	}
	if corrupt {
		out.Status = pinsvc.StatusFailed // nobody can pin what cannot be decoded
	}
	if details := detailsOf(all, holders, out.Status); details != "" {
		out.Info["status_details"] = details
	}
	return out, len(holders) > 0
}

// statusFor is what a pin is at if some say this and some say that, of those that can be
// asked. As long as one is at work it is not done. One that does not know has not
// failed, and what IPFS has lost a recovery makes a pin again.
func statusFor(said api.TrackerStatus) pinsvc.Status {
	switch {
	case said&(api.TrackerStatusPinQueued|api.TrackerStatusUnexpectedlyUnpinned) != 0:
		return pinsvc.StatusQueued
	case said&api.TrackerStatusPinning != 0:
		return pinsvc.StatusPinning
	case said&api.TrackerStatusPinned != 0:
		return pinsvc.StatusPinned
	case said == api.TrackerStatusPinError:
		return pinsvc.StatusFailed
	default:
		return pinsvc.StatusQueued
	}
}

// detailsOf says why a pin failed, or who does not answer about one that waits.
func detailsOf(all api.GlobalPinInfo, holders []string, status pinsvc.Status) string {
	if status != pinsvc.StatusFailed && status != pinsvc.StatusQueued {
		return ""
	}
	first, bad := "", 0
	for _, id := range holders {
		p := all.PeerMap[id]
		if p.Status&api.TrackerStatusError == 0 {
			continue
		}
		if bad++; bad == 1 {
			first = fmt.Sprintf("%s at peer %s: %s", p.Status, id, p.Error)
		}
	}
	if bad == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d peers: %s", bad, len(holders), first)
}

// created is when a pin was made. The pinset has that in whole seconds, and clients get
// page after page by it, so that it must be another one for each pin: the fraction of
// the second is made of the CID, and is the same in each answer.
func created(c api.Cid, at time.Time) time.Time {
	hash := fnv.New64a()
	_, _ = hash.Write(c.Bytes()) // never fails
	return at.UTC().Truncate(time.Second).Add(time.Duration(hash.Sum64() % uint64(time.Second)))
}
