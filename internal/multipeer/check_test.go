package multipeer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// held are the pins of the IPFS daemon.
func (k *kubo) held() map[api.Cid]api.IPFSPinStatus {
	k.t.Helper()
	held := make(map[api.Cid]api.IPFSPinStatus)
	k.call("pin/ls?stream=true", func(body io.Reader) error {
		dec := json.NewDecoder(body)
		for {
			var info api.IPFSPinInfo
			if err := dec.Decode(&info); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			held[info.Cid] = info.Type
		}
	})
	return held
}

// put pins in the IPFS daemon, behind the back of its peer.
func (k *kubo) put(c api.Cid) {
	k.t.Helper()
	k.call("pin/add?arg="+c.String(), func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

func (k *kubo) call(what string, read func(io.Reader) error) {
	k.t.Helper()
	res, err := http.Post(k.url.String()+"/api/v0/"+what, "", nil)
	must(k.t, err)
	defer res.Body.Close()
	must(k.t, read(res.Body))
	if res.StatusCode != http.StatusOK {
		k.t.Fatalf("%s: %s", what, res.Status)
	}
}

// desired is the pinset, as it is in the table.
func (w *world) desired() map[api.Cid]api.Pin {
	w.t.Helper()
	pins := make(map[api.Cid]api.Pin)
	iter := w.sql.Query("SELECT cid, pin FROM " + w.conf.Keyspace + ".pins").Iter()
	var key, value []byte
	for iter.Scan(&key, &value) {
		if len(value) > 0 { // else the marker of a removed pin
			c, err := api.CastCid(key)
			must(w.t, err)
			var pin api.Pin
			must(w.t, pin.ProtoUnmarshal(value))
			pin.Cid = c
			pins[c] = pin
		}
		key, value = nil, nil
	}
	must(w.t, iter.Close())
	return pins
}

// placement is what one row says.
type placement struct {
	status state.PlacementStatus
	err    string
}

// placements are those of all peers, as they are in the table, by peer ID.
func (w *world) placements() map[string]map[api.Cid]placement {
	w.t.Helper()
	all := make(map[string]map[api.Cid]placement)
	iter := w.sql.Query("SELECT peer, cid, status, error FROM " + w.conf.Keyspace + ".placements").Iter()
	var id, text string
	var key []byte
	var status int8
	for iter.Scan(&id, &key, &status, &text) {
		c, err := api.CastCid(key)
		must(w.t, err)
		if all[id] == nil {
			all[id] = make(map[api.Cid]placement)
		}
		all[id][c] = placement{state.PlacementStatus(status), text}
		key = nil
	}
	must(w.t, iter.Close())
	return all
}

// divergence says where the pinset, what the live peers hold, and what the
// table says of that are not the same.
func (w *world) divergence() []string {
	w.t.Helper()
	var found []string
	pins, placed := w.desired(), w.placements()
	live := w.live()
	for _, n := range live {
		held := n.kubo.held()
		for c, pin := range pins {
			if pin.Type == api.MetaType || pin.IsRemotePin(n.id) {
				continue
			}
			if _, ok := held[c]; !ok {
				found = append(found, fmt.Sprintf("%s does not hold %s", n.name, c))
			}
			if p, ok := placed[n.id.String()][c]; !ok || p.status != state.PlacementPinned {
				found = append(found, fmt.Sprintf("the placement of %s at %s is %v", c, n.name, p))
			}
		}
		wanted := func(c api.Cid) bool {
			pin, ok := pins[c]
			return ok && pin.Type != api.MetaType && !pin.IsRemotePin(n.id)
		}
		for c := range held {
			if !wanted(c) {
				found = append(found, fmt.Sprintf("%s holds %s, which is none of its pins", n.name, c))
			}
		}
		for c, p := range placed[n.id.String()] {
			if !wanted(c) {
				found = append(found, fmt.Sprintf("%s has a placement %v of %s, which is none of its pins", n.name, p, c))
			}
		}
	}
	slices.Sort(found)
	return found
}

// converge waits until there is no divergence.
func (w *world) converge() {
	w.t.Helper()
	eventually(w.t, "peers and pinset to agree", func() string {
		found := w.divergence()
		if len(found) > 5 {
			found = append(found[:5], fmt.Sprintf("and %d more", len(found)-5))
		}
		return strings.Join(found, "; ")
	})
}

// allocations of a pin, which must be there.
func (w *world) allocations(c api.Cid) []string {
	w.t.Helper()
	pin, ok := w.desired()[c]
	if !ok {
		w.t.Fatalf("%s is not pinned", c)
	}
	var names []string
	for _, id := range pin.Allocations {
		names = append(names, w.node(id).name)
	}
	slices.Sort(names)
	return names
}
