package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
)

// story is one client, with a connection to each API of each live peer.
type story struct {
	*readWriter
	peers  []*member
	pinsvc []*pinsvcClient
}

func newStory(r *readWriter, peers []*member) *story {
	s := &story{readWriter: r, peers: peers}
	for _, p := range peers {
		s.pinsvc = append(s.pinsvc, newPinsvcClient(r.t, p.peer))
	}
	return s
}

// pin is the story of one pin. Its number says at which peer it begins, and by which
// API.
func (s *story) pin(i int, cid string) {
	at := i % len(s.peers)
	other := (at + 1) % len(s.peers)
	first, second := fmt.Sprint("first ", cid), fmt.Sprint("second ", cid)
	var err error
	if i%2 == 0 {
		_, err = s.pinsvc[at].add(cid, first)
	} else {
		err = s.peers[at].pin(cid, url.Values{"name": {first}})
	}
	if s.acknowledged("a pin", err) {
		s.isThere("after a pin", at, cid, first, i%10 < 2)
	}
	if s.acknowledged("a pin with another name", s.peers[other].pin(cid, url.Values{"name": {second}})) {
		s.isThere("after another name", other, cid, second, i%10 == 2)
	}
	for _, factor := range []int{1, -1, 1} {
		query := factors(factor, factor)
		query.Set("name", second)
		if s.acknowledged("a pin with another factor", s.peers[at].pin(cid, query)) {
			s.isThere(fmt.Sprintf("after the factor is %d", factor), at, cid, second, false)
		}
	}
	if s.acknowledged("an unpin", s.pinsvc[at].remove(cid)) {
		s.isGone("after an unpin", at, cid, i%10 < 2)
	}
	if _, err := s.pinsvc[other].add(cid, first); s.acknowledged("a pin after an unpin", err) {
		s.isThere("pinned again", other, cid, first, false)
	}
	if i%2 == 0 {
		if s.acknowledged("an unpin", s.peers[other].unpin(cid)) {
			s.isGone("after the last unpin", other, cid, false)
		}
	}
}

// acknowledged reports whether a request was. One that is refused is not a contradiction.
func (s *story) acknowledged(what string, err error) bool {
	if err != nil {
		s.t.Errorf("%s was not acknowledged: %v", what, err)
	}
	return err == nil
}

// isThere wants both APIs of every peer to have the pin. They are asked in turn,
// beginning with the one that has acknowledged it; all lists them all.
func (s *story) isThere(what string, at int, cid, name string, all bool) {
	for k := range s.peers {
		i := (at + k) % len(s.peers)
		got, err := s.pinsvc[i].get(cid)
		s.checkPin(what+", pinning service", i, got, err, name)
		byCid := url.Values{"cid": {cid}, "status": {"queued,pinning,pinned"}}
		s.checkList(what+", list of one", i, byCid, name)
		began := time.Now()
		info, err := s.peers[i].status(cid)
		s.took(time.Since(began))
		s.checkStatus(what+", REST", i, info, err)
		if all {
			s.checkList(what+", list of a name", i, url.Values{"name": {name}, "status": {"queued,pinning,pinned"}}, name)
			s.checkListed(what+", REST list", i, cid, true)
		}
	}
}

func (r *readWriter) took(d time.Duration) {
	for {
		most := r.slowest.Load()
		if int64(d) <= most || r.slowest.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func (s *story) checkPin(what string, i int, got pinsvc.PinStatus, err error, name string) {
	s.asked.Add(1)
	switch {
	case err != nil:
		s.contradicts(what, "%v", err)
	case string(got.Pin.Name) != name || got.Status&(pinsvc.StatusQueued|pinsvc.StatusPinning|pinsvc.StatusPinned) == 0:
		s.contradicts(what, "peer %d says that %q is %s, by the name %q", i, name, got.Status, got.Pin.Name)
	}
}

func (s *story) checkList(what string, i int, query url.Values, name string) {
	list, err := s.pinsvc[i].list(query)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("peer %d lists %d pins of %v", i, len(list), query)
		list = nil
	}
	var got pinsvc.PinStatus
	if err == nil {
		got = list[0]
	}
	s.checkPin(what, i, got, err, name)
}

// atWork are the statuses of a pin that was acknowledged, at a peer that is to hold it.
const atWork = api.TrackerStatusPinQueued | api.TrackerStatusPinning | api.TrackerStatusPinned

func (s *story) checkStatus(what string, i int, info api.GlobalPinInfo, err error) {
	s.asked.Add(1)
	if err != nil {
		s.contradicts(what, "%v", err)
		return
	}
	holders := api.PeersToStrings(info.Allocations)
	for _, m := range s.group {
		id := s.ids[m]
		want := atWork
		switch {
		case len(holders) > 0 && !slices.Contains(holders, id):
			want = api.TrackerStatusRemote
		case m == s.dead && s.known:
			want = api.TrackerStatusClusterError
		case m == s.dead:
			want |= api.TrackerStatusClusterError
		}
		if got := info.PeerMap[id]; got.Status == 0 || got.Status&want != got.Status {
			s.contradicts(what, "peer %d says that it is %s at %s (%s), want %s", i, got.Status, id, got.Error, want)
		}
	}
	if len(holders) == 0 && len(info.PeerMap) != len(s.group) {
		s.contradicts(what, "peer %d tells of %d peers", i, len(info.PeerMap))
	}
}

// checkListed wants a CID to be, or not to be, in the lists of the REST API. The one that
// leaves out errors ends with one while a peer fails that is not known to be dead, and when
// it is has no pins that only the dead one was to hold.
func (s *story) checkListed(what string, i int, cid string, there bool) {
	var holders []string
	for _, query := range []string{"", "?filter=pinned,pinning,pin_queued"} {
		s.asked.Add(1)
		listed, err := s.peers[i].statuses(query)
		if query != "" && err != nil && s.dead != nil && !s.known && strings.Contains(err.Error(), s.ids[s.dead]) {
			continue
		}
		info, found := listed[cid]
		if query == "" {
			holders = api.PeersToStrings(info.Allocations)
		} else if err == nil && there && !found && s.dead != nil && slices.Equal(holders, []string{s.ids[s.dead]}) {
			continue
		}
		if err != nil || found != there {
			s.contradicts(what, "peer %d lists it with %q: %v (%v), want %v", i, query, found, err, there)
		}
	}
}

// isGone wants both APIs of every peer not to have the pin.
func (s *story) isGone(what string, at int, cid string, all bool) {
	for k := range s.peers {
		i := (at + k) % len(s.peers)
		s.asked.Add(2)
		var answer *refusal
		if got, err := s.pinsvc[i].get(cid); !errors.As(err, &answer) || answer.status != http.StatusNotFound {
			s.contradicts(what+", pinning service", "peer %d says %s (%v), want 404", i, got.Status, err)
		}
		list, err := s.pinsvc[i].list(url.Values{"cid": {cid}, "status": {"queued,pinning,pinned,failed"}})
		if err != nil || len(list) != 0 {
			s.contradicts(what+", list of one", "peer %d lists %d pins (%v)", i, len(list), err)
		}
		info, err := s.peers[i].status(cid)
		if err != nil || len(info.PeerMap) != len(s.group) {
			s.contradicts(what+", REST", "peer %d tells of %d peers (%v)", i, len(info.PeerMap), err)
		}
		for id, got := range info.PeerMap {
			if got.Status != api.TrackerStatusUnpinned {
				s.contradicts(what+", REST", "peer %d says that it is %s at %s (%s)", i, got.Status, id, got.Error)
			}
		}
		if all {
			s.checkListed(what+", REST list", i, cid, false)
		}
	}
}

// statuses lists what a peer says of all pins, by CID.
func (r *rest) statuses(query string) (map[string]api.GlobalPinInfo, error) {
	listed := make(map[string]api.GlobalPinInfo)
	err := r.do(http.MethodGet, "/pins"+query, func(value json.RawMessage) error {
		var info api.GlobalPinInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return err
		}
		listed[info.Cid.String()] = info
		return nil
	})
	return listed, err
}
