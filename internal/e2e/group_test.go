package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// lively are variables for peers that notice soon what happens to the others.
var lively = map[string]string{
	"CLUSTER_MONITORPINGINTERVAL": "2s",
	"CLUSTER_PEERWATCHINTERVAL":   "1s",
	"CLUSTER_PINRECOVERINTERVAL":  "10s",
	"CLUSTER_DISABLEREPINNING":    "false",
}

// noticed is how long a loaded machine may take until peers with these variables
// have seen that another one is gone, and given all its pins to others.
const noticed = 2 * time.Minute

// member is a peer of a group with its Kubo, which is nil if it has none.
type member struct {
	*peer
	kubo *ipfs
}

// newGroup makes peers of one cluster that are lively, one for each Kubo.
func newGroup(t *testing.T, db database, kubos []*ipfs, vars map[string]string) []*member {
	t.Helper()
	env := maps.Clone(lively)
	maps.Copy(env, vars)
	var group []*member
	for i, k := range kubos {
		env["CLUSTER_PEERNAME"] = fmt.Sprintf("peer-%d", i)
		group = append(group, &member{newPeer(t, db, k, env), k})
	}
	return group
}

// ids are those of the peers, in order.
func ids(t *testing.T, peers ...*member) []string {
	t.Helper()
	var all []string
	for _, p := range peers {
		all = append(all, p.id(t))
	}
	slices.Sort(all)
	return all
}

// waitMeet waits until each of the peers can give pins to all of them.
func waitMeet(t *testing.T, peers ...*member) {
	t.Helper()
	want := ids(t, peers...)
	for _, p := range peers {
		p.waitReady(t)
	}
	// Only now: one that starts again may still be known from before, and be
	// taken for dead in a moment.
	for _, p := range peers {
		eventually(t, time.Minute, "the peer knows the others", func() error { return p.canAllocate(want) })
	}
}

// canAllocate returns an error unless the peer has metrics of all these peers.
func (r *rest) canAllocate(want []string) error {
	for _, name := range []string{"ping", "freespace"} {
		var from []string
		err := r.do(http.MethodGet, "/monitor/metrics/"+name, func(value json.RawMessage) error {
			var metrics []api.Metric
			err := json.Unmarshal(value, &metrics)
			for _, m := range metrics {
				if m.Valid {
					from = append(from, m.Peer.String())
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range want {
			if !slices.Contains(from, id) {
				return fmt.Errorf("no metric %s of %s", name, id)
			}
		}
	}
	return nil
}

// add adds a file through the REST API, and returns its CID.
func (r *rest) add(content string, query url.Values) (cid string, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "file")
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(part, content); err != nil {
		return "", err
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	query = maps.Clone(query)
	query.Set("stream-channels", "false") // errors come as a status
	res, err := r.client.Post(r.url+"/add?"+query.Encode(), form.FormDataContentType(), &body)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", &refusal{res.StatusCode, string(text)}
	}
	var added []api.AddedOutput
	if err := json.Unmarshal(text, &added); err != nil {
		return "", fmt.Errorf("reading the answer %q: %w", text, err)
	}
	if len(added) == 0 {
		return "", fmt.Errorf("nothing was added: %q", text)
	}
	return added[len(added)-1].Cid.String(), nil
}

// factors are options of a pin.
func factors(from, to int) url.Values {
	return url.Values{"replication-min": {fmt.Sprint(from)}, "replication-max": {fmt.Sprint(to)}}
}

// onto are options of a pin that is to be held by these peers.
func onto(ids ...string) url.Values {
	query := factors(len(ids), len(ids))
	query.Set("user-allocations", strings.Join(ids, ","))
	return query
}

// pins returns the whole pinset by CID.
func (r *rest) pins() (map[string]api.Pin, error) {
	pins := make(map[string]api.Pin)
	err := r.do(http.MethodGet, "/allocations", func(value json.RawMessage) error {
		var pin api.Pin
		if err := json.Unmarshal(value, &pin); err != nil {
			return err
		}
		pins[pin.Cid.String()] = pin
		return nil
	})
	return pins, err
}

// holders returns who shall hold a pin, in order. all are the peers that hold
// what every peer holds.
func holders(pin api.Pin, all []string) []string {
	if pin.IsPinEverywhere() {
		return all
	}
	names := api.PeersToStrings(pin.Allocations)
	slices.Sort(names)
	return names
}

// agrees returns an error unless the Kubo has pinned, of all the given CIDs,
// exactly those that it shall.
func (m *member) agrees(t *testing.T, all []string, shall func(cid string) bool) error {
	t.Helper()
	return onlyPinned(m.kubo.pinned(t), all, slices.DeleteFunc(slices.Clone(all), func(cid string) bool { return !shall(cid) }))
}

// placed is one row of the table placements.
type placed struct {
	status int
	size   int64
}

// Values of the column status.
const statusPinned = 2

// placements reads the table: what each peer holds, by peer and CID.
func placements(session *gocql.Session, keyspace string) (map[string]map[string]placed, error) {
	all := make(map[string]map[string]placed)
	iter := session.Query("SELECT peer, cid, status, size FROM " + keyspace + ".placements").Iter()
	var id string
	var key []byte
	var row placed
	for iter.Scan(&id, &key, &row.status, &row.size) {
		c, err := api.CastCid(key)
		if err != nil {
			return nil, errors.Join(err, iter.Close())
		}
		if all[id] == nil {
			all[id] = make(map[string]placed)
		}
		all[id][c.String()] = row
		key, row = nil, placed{}
	}
	return all, iter.Close()
}

// inLine returns an error unless every peer of the group holds what the pinset
// says, of all the given CIDs, in its Kubo, in their mode, as well as by the table placements.
// through is the peer to ask for the pinset.
func inLine(t *testing.T, session *gocql.Session, db database, through *member, group []*member, cids []string) error {
	t.Helper()
	pins, err := through.pins()
	if err != nil {
		return err
	}
	all := ids(t, group...)
	rows, err := placements(session, db.keyspace)
	if err != nil {
		return err
	}
	for _, m := range group {
		id := m.id(t)
		shall := func(cid string) bool {
			pin, ok := pins[cid]
			return ok && slices.Contains(holders(pin, all), id)
		}
		for kind, direct := range map[string]bool{"recursive": false, "direct": true} {
			want := slices.DeleteFunc(slices.Clone(cids), func(cid string) bool { return !shall(cid) || (pins[cid].MaxDepth == 0) != direct })
			if err := onlyPinned(m.kubo.pinnedAs(t, kind), cids, want); err != nil {
				return fmt.Errorf("%s pins of the Kubo of %s: %w", kind, id, err)
			}
		}
		for _, cid := range cids {
			row, ok := rows[id][cid]
			if ok != shall(cid) || ok && row.status != statusPinned {
				return fmt.Errorf("%s has a placement of %s: %v, with status %d; it shall hold it: %v", id, cid, ok, row.status, shall(cid))
			}
		}
	}
	return nil
}
