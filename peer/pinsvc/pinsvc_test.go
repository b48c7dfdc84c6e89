package pinsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// down is what the database says that does not serve.
type down struct{}

func (down) Error() string     { return "no node of the database is up" }
func (down) Unavailable() bool { return true }

// cluster is a cluster in memory, whose peers say of each pin what they are told to.
type cluster struct {
	mu      sync.Mutex
	pins    map[api.Cid]api.Pin
	says    map[api.Cid][]api.TrackerStatus // of each peer, pin_queued if there is none
	err     error                           // of every call
	dead    bool                            // those with a cluster_error
	corrupt map[api.Cid]bool
	late    error // of a listing, at its end
	made    int   // pins so far
	// removing is what somebody else removes as soon as another pin was made.
	removing api.Cid
	// changing is called when a pin was read.
	changing func(api.Cid)
}

func (c *cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cluster) info(id api.Cid) (all api.GlobalPinInfo) {
	pin, there := c.pins[id]
	says := c.says[id]
	switch {
	case !there:
		says = []api.TrackerStatus{api.TrackerStatusUnpinned}
	case says == nil:
		says = []api.TrackerStatus{api.TrackerStatusPinQueued}
	}
	for i, s := range says {
		all.Add(api.PinInfo{
			Cid: id, Name: pin.Name, Peer: statetest.Peer(fmt.Sprint(i)), Created: pin.Timestamp, Metadata: pin.Metadata, Origins: pin.Origins,
			PinInfoShort: api.PinInfoShort{Status: s, Error: c.errorOf(id, s, i), IPFSAddresses: addresses(id.String() + fmt.Sprint(i))},
		})
	}
	all.Cid = id
	return all
}

func (c *cluster) errorOf(id api.Cid, s api.TrackerStatus, i int) string {
	switch {
	case !s.Match(api.TrackerStatusError):
		return ""
	case c.corrupt[id]:
		return state.CorruptText(id) + ": error of the decoder"
	case c.dead:
		return "the peer has sent no heartbeat since yesterday"
	}
	return fmt.Sprint("error ", i)
}

// clusterRPC serves it.
type clusterRPC struct{ *cluster }

func (c clusterRPC) Pin(_ context.Context, in api.Pin, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if from := in.PinUpdate; from.Defined() { // as upstream's cluster updates
		old, there := c.pins[from]
		if !there {
			return state.ErrNotFound
		}
		old.Cid, old.PinUpdate = in.Cid, from
		if in.Name != "" {
			old.Name = in.Name
		}
		in = old
	}
	if in.ReplicationFactorMin == 0 {
		in.ReplicationFactorMin, in.ReplicationFactorMax = -1, -1
	}
	if !in.PinUpdate.Defined() && !in.IsPinEverywhere() { // all that are wanted are alive
		in.Allocations, in.UserAllocations = in.UserAllocations, nil
	}
	if current := c.pins[in.Cid]; in.ExpiredAt(time.Now()) || current.Defined() && current.MaxDepth < 0 && in.MaxDepth >= 0 {
		return fmt.Errorf("%+v may not be in place of %+v", in, current) // by the rules of package consensus
	}
	in.Timestamp = time.Date(2026, 1, 1, 0, 0, c.made, 5e8, time.UTC)
	c.made++
	*out = in
	in.Timestamp = in.Timestamp.Truncate(time.Second) // what is stored of it
	c.pins[in.Cid] = in
	delete(c.pins, c.removing)
	return nil
}

func (c clusterRPC) PinGet(_ context.Context, in api.Cid, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pin, there := c.pins[in]
	if c.err == nil && !there {
		return state.ErrNotFound
	}
	*out = pin
	if c.changing != nil {
		c.changing(in)
	}
	return c.err
}

func (c clusterRPC) Unpin(_ context.Context, in api.Pin, _ *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if _, there := c.pins[in.Cid]; !there {
		return state.ErrNotFound
	}
	delete(c.pins, in.Cid)
	return nil
}

func (c clusterRPC) Status(_ context.Context, in api.Cid, out *api.GlobalPinInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*out = c.info(in)
	return c.err
}

func (c clusterRPC) StatusAll(_ context.Context, in <-chan api.TrackerStatus, out chan<- api.GlobalPinInfo) error {
	defer close(out)
	filter := <-in
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for id := range c.pins {
		if all := c.info(id); all.Match(filter) {
			out <- all
		}
	}
	return c.late
}

func (c clusterRPC) IPFSID(_ context.Context, in peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: in, Addresses: addresses(in.String())}
	return nil
}

// addresses are those of a daemon, one of them twice.
func addresses(name string) []api.Multiaddr {
	var addrs []api.Multiaddr
	for _, port := range []int{4001, 4001, 4002} {
		addrs = append(addrs, api.NewMultiaddrWithValue(ma.StringCast(fmt.Sprintf("/dns4/%s.test/tcp/%d", name[len(name)-8:], port))))
	}
	return addrs
}

// consensusRPC says who the peers are.
type consensusRPC struct{ peers []peer.ID }

func (c consensusRPC) Peers(_ context.Context, _ struct{}, out *[]peer.ID) error {
	*out = c.peers
	return nil
}

// somePeers are so many.
func somePeers(n int) (peers []peer.ID) {
	for i := range n {
		peers = append(peers, statetest.Peer(fmt.Sprint(i)))
	}
	return peers
}

// service is an API over a cluster in memory.
type service struct {
	*cluster
	t      *testing.T
	api    *API
	url    string
	header http.Header // of each request
}

func newService(t *testing.T, change ...func(*pinsvcapi.Config)) *service {
	t.Helper()
	cfg := pinsvcapi.NewConfig()
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	addr, err := ma.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTPListenAddr = []ma.Multiaddr{addr}
	for _, f := range change {
		f(cfg)
	}
	a, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	s := &service{cluster: &cluster{pins: make(map[api.Cid]api.Pin), says: make(map[api.Cid][]api.TrackerStatus)}, t: t, api: a}
	server := rpc.NewServer(nil, "")
	for name, of := range map[string]any{"Cluster": clusterRPC{s.cluster}, "Consensus": consensusRPC{somePeers(2)}} {
		if err := server.RegisterName(name, of); err != nil {
			t.Fatal(err)
		}
	}
	a.SetClient(rpc.NewClientWithServer(nil, "", server))
	addrs, err := a.HTTPAddresses()
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + addrs[0]
	return s
}

// call makes a request, and decodes the answer into out if it has the wanted status. It
// returns the header of the answer.
func (s *service) call(method, path, body string, want int, out any) http.Header {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = s.header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != want {
		s.t.Errorf("%s %s: %s %s, want %d", method, path, res.Status, text, want)
		return res.Header
	}
	if want >= 400 {
		var e pinsvc.APIError
		if err := json.Unmarshal(text, &e); err != nil || e.Details.Reason == "" || e.Details.Details == "" {
			s.t.Errorf("%s %s: the body of the failure is %s", method, path, text)
		}
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			s.t.Errorf("%s %s: %s: %s", method, path, text, err)
		}
	}
	return res.Header
}

// add pins.
func (s *service) add(label string) pinsvc.PinStatus {
	s.t.Helper()
	var got pinsvc.PinStatus
	s.call(http.MethodPost, "/pins", fmt.Sprintf(`{"cid": %q, "name": %q, "meta": {"of": "test"}}`, statetest.Cid(label), label), http.StatusAccepted, &got)
	return got
}

// TestPins: a pin from its making to its end.
func TestPins(t *testing.T) {
	s := newService(t)
	made := s.add("a")
	if made.Status != pinsvc.StatusQueued || made.Pin.Name != "a" || len(made.Delegates) != 4 || made.Created.IsZero() {
		t.Errorf("made: %+v", made)
	}
	id := "/pins/" + made.RequestID
	var got pinsvc.PinStatus
	s.call(http.MethodGet, id, "", http.StatusOK, &got)
	if got.RequestID != made.RequestID || got.Status != pinsvc.StatusQueued || got.Pin.Meta["of"] != "test" {
		t.Errorf("got: %+v", got)
	}
	s.call(http.MethodDelete, id, "", http.StatusAccepted, nil)
	s.call(http.MethodDelete, id, "", http.StatusNotFound, nil)
	s.call(http.MethodGet, id, "", http.StatusNotFound, nil)
}

// TestStatusOf: what is said of a pin is what those say that are to hold it.
func TestStatusOf(t *testing.T) {
	const (
		queued, pinning, pinned, failed = api.TrackerStatusPinQueued, api.TrackerStatusPinning, api.TrackerStatusPinned, api.TrackerStatusPinError
		silent, lost, remote            = api.TrackerStatusClusterError, api.TrackerStatusUnexpectedlyUnpinned, api.TrackerStatusRemote
	)
	s := newService(t)
	c := statetest.Cid("a")
	for _, tt := range []struct {
		says []api.TrackerStatus
		dead bool // those that are silent
		want pinsvc.Status
	}{
		{[]api.TrackerStatus{pinned, pinned, remote}, false, pinsvc.StatusPinned},
		{[]api.TrackerStatus{pinned, silent}, false, pinsvc.StatusPinned},
		{[]api.TrackerStatus{pinned, failed}, false, pinsvc.StatusPinned},
		{[]api.TrackerStatus{pinned, queued}, false, pinsvc.StatusQueued},
		{[]api.TrackerStatus{pinning, failed}, false, pinsvc.StatusPinning},
		{[]api.TrackerStatus{failed, failed}, false, pinsvc.StatusFailed},
		{[]api.TrackerStatus{failed, silent}, true, pinsvc.StatusFailed},
		{[]api.TrackerStatus{failed, silent}, false, pinsvc.StatusQueued},
		{[]api.TrackerStatus{silent, silent, remote}, false, pinsvc.StatusQueued},
		{[]api.TrackerStatus{silent, silent, remote}, true, pinsvc.StatusQueued},
		{[]api.TrackerStatus{lost}, false, pinsvc.StatusQueued},
	} {
		s.pins[c], s.says[c], s.dead = api.PinCid(c), tt.says, tt.dead
		var got pinsvc.PinStatus
		s.call(http.MethodGet, "/pins/"+c.String(), "", http.StatusOK, &got)
		if got.Status != tt.want {
			t.Errorf("%v: %s, want %s", tt.says, got.Status, tt.want)
		}
		var list pinsvc.PinList
		s.call(http.MethodGet, "/pins?status="+tt.want.String(), "", http.StatusOK, &list)
		if list.Count != 1 || list.Results[0].Status != tt.want {
			t.Errorf("%v: the list says %+v", tt.says, list)
		}
	}
	for _, says := range [][]api.TrackerStatus{{remote}, {api.TrackerStatusUnpinned, api.TrackerStatusUnpinning}, {api.TrackerStatusSharded}} {
		s.says[c] = says
		s.call(http.MethodGet, "/pins/"+c.String(), "", http.StatusNotFound, nil)
	}
}

// TestList: filters, the newest first, and the count of all.
func TestList(t *testing.T) {
	s := newService(t)
	for i := range 20 {
		c := s.add(fmt.Sprint("pin ", i)).Pin.Cid
		if i%2 == 0 {
			s.set(func() { s.says[c] = []api.TrackerStatus{api.TrackerStatusPinned} })
		}
	}
	list := func(query string) (names []string, count uint64) {
		var got pinsvc.PinList
		s.call(http.MethodGet, "/pins?"+query, "", http.StatusOK, &got)
		for _, r := range got.Results {
			names = append(names, string(r.Pin.Name))
		}
		return names, got.Count
	}
	cid := statetest.Cid("pin 3").String()
	for query, want := range map[string]struct {
		names []string
		count uint64
	}{
		"":                                     {[]string{"pin 18", "pin 16", "pin 14", "pin 12", "pin 10", "pin 8", "pin 6", "pin 4", "pin 2", "pin 0"}, 10},
		"limit=2":                              {[]string{"pin 18", "pin 16"}, 10},
		"limit=1&status=queued":                {[]string{"pin 19"}, 10},
		"limit=1&status=queued,pinned":         {[]string{"pin 19"}, 20},
		"status=failed":                        {nil, 0},
		"cid=" + cid:                           {nil, 0},
		"status=queued&cid=" + cid:             {[]string{"pin 3"}, 1},
		"status=queued&cid=" + cid + "," + cid: {[]string{"pin 3"}, 1},
		"status=queued&name=pin%203":           {[]string{"pin 3"}, 1},
		"name=PIN%201&match=ipartial":          {[]string{"pin 18", "pin 16", "pin 14", "pin 12", "pin 10"}, 5},
		"limit=1&before=2026-01-01T00:00:04Z":  {[]string{"pin 2"}, 2},
		"after=2026-01-01T00:00:17Z":           {[]string{"pin 18"}, 1},
		"limit=1&meta=" + url.QueryEscape(`{"of":"test"}`):  {[]string{"pin 18"}, 10},
		"limit=1&meta=" + url.QueryEscape(`{"of":"other"}`): {nil, 0},
	} {
		names, count := list(query)
		if !slices.Equal(names, want.names) || count != want.count {
			t.Errorf("%q: %q, %d, want %q, %d", query, names, count, want.names, want.count)
		}
	}
}

// TestBadRequests: each has one clear message.
func TestBadRequests(t *testing.T) {
	s := newService(t)
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "status=lost", "status=pinned,lost", "match=most", "cid=x", "before=now", "after=x", "meta=x",
		"cid=" + strings.Repeat(statetest.Cid("a").String()+",", 10) + statetest.Cid("b").String(), "name=" + strings.Repeat("x", 256),
		"status=pinned&status=lost", "meta=%zz", "meta=[]", `meta={"a":1}`} {
		s.call(http.MethodGet, "/pins?"+q, "", http.StatusBadRequest, nil)
	}
	for _, body := range []string{"", "{", "[]", "{}", `{"cid": "x"}`, `{"cid": 1}`, `{"cid": "` + statetest.Cid("a").String() + `", "name": "` + strings.Repeat("ü", maxName+1) + `"}`,
		`{"cid": "` + statetest.Cid("a").String() + `"} {}`, withOrigins(maxOrigins + 1), withMeta(maxMeta + 1),
		`{"cid": "` + statetest.Cid("a").String() + `", "origins": ["127.0.0.1:4001"]}`} {
		s.call(http.MethodPost, "/pins", body, http.StatusBadRequest, nil)
	}
	s.call(http.MethodPost, "/pins", `{"meta": {"x": "`+strings.Repeat("x", maxBody)+`"}}`, http.StatusRequestEntityTooLarge, nil)
	s.call(http.MethodGet, "/pins/x", "", http.StatusNotFound, nil)
	s.call(http.MethodDelete, "/pins/x", "", http.StatusNotFound, nil)
	if len(s.pins) != 0 {
		t.Errorf("%d pins were made", len(s.pins))
	}
}

// withOrigins is the body for a pin with so many.
func withOrigins(n int) string {
	var origins []string
	for i := range n {
		origins = append(origins, fmt.Sprintf(`"/ip4/192.0.2.%d/tcp/4001"`, i))
	}
	return fmt.Sprintf(`{"cid": %q, "origins": [%s]}`, statetest.Cid("a"), strings.Join(origins, ","))
}

// withMeta is the body for a pin with so many entries.
func withMeta(n int) string {
	meta := make(map[string]string)
	for i := range n {
		meta[fmt.Sprint(i)] = ""
	}
	text, _ := json.Marshal(map[string]any{"cid": statetest.Cid("a"), "meta": meta})
	return string(text)
}

// TestErrors: an answer that fails is never an empty one, or one that says that there is
// no pin.
func TestErrors(t *testing.T) {
	s := newService(t)
	s.add("a")
	c := statetest.Cid("a").String()
	body := fmt.Sprintf(`{"cid": %q}`, c)
	for status, err := range map[int]error{
		http.StatusServiceUnavailable:    fmt.Errorf("reading it: %w", down{}),
		http.StatusInternalServerError:   errors.New("something else"),
		http.StatusRequestEntityTooLarge: fmt.Errorf("writing it: %w", &state.TooLargeError{}),
	} {
		s.set(func() { s.err = err })
		for _, req := range [][3]string{
			{http.MethodGet, "/pins"}, {http.MethodGet, "/pins?cid=" + c}, {http.MethodGet, "/pins/" + c}, {http.MethodPost, "/pins", body},
			{http.MethodPost, "/pins/" + c, body}, {http.MethodDelete, "/pins/" + c},
		} {
			header := s.call(req[0], req[1], req[2], status, nil)
			if after := header.Get("Retry-After"); (after != "") != (status == http.StatusServiceUnavailable) {
				t.Errorf("%v: %d, Retry-After: %q", req, status, after)
			}
		}
	}
	s.set(func() { s.err, s.late = nil, down{} })
	s.call(http.MethodGet, "/pins", "", http.StatusServiceUnavailable, nil)
}

// TestPassword: who gives none is told so, in the form of the specification.
func TestPassword(t *testing.T) {
	s := newService(t, func(cfg *pinsvcapi.Config) { cfg.BasicAuthCredentials = map[string]string{"user": "password"} })
	s.call(http.MethodGet, "/pins", "", http.StatusUnauthorized, nil)
}

// TestConfigStays: the configuration is that of upstream's component, which is not
// changed.
func TestConfigStays(t *testing.T) {
	var kept *pinsvcapi.Config
	newService(t, func(cfg *pinsvcapi.Config) { kept = cfg })
	if got := kept.APIErrorFunc(errors.New("x"), 400).Error(); got != "x" {
		t.Errorf("its errors are %q", got)
	}
}
