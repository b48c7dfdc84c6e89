package pinsvc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// pinStatus is what an answer says of a pin. Upstream's type refuses names that the
// specification allows.
type pinStatus struct {
	RequestID string
	Created   time.Time
	Pin       struct {
		Cid, Name string
		Origins   []string
		Meta      map[string]string
	}
	Delegates []string
}

// TestLongestPin: what the specification allows is stored, and comes back.
func TestLongestPin(t *testing.T) {
	s := newService(t)
	name := strings.Repeat("ü", maxName)
	body := map[string]any{"cid": statetest.Cid("a"), "name": name, "meta": map[string]string{"k": "v"}}
	var origins struct{ Origins []string }
	if err := json.Unmarshal([]byte(withOrigins(maxOrigins)), &origins); err != nil {
		t.Fatal(err)
	}
	body["origins"] = origins.Origins
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var made, got pinStatus
	s.call(http.MethodPost, "/pins", string(text), http.StatusAccepted, &made)
	s.call(http.MethodGet, "/pins/"+made.RequestID, "", http.StatusOK, &got)
	for what, pin := range map[string]pinStatus{"made": made, "got": got} {
		if pin.Pin.Name != name || !slices.Equal(pin.Pin.Origins, origins.Origins) || pin.Pin.Meta["k"] != "v" {
			t.Errorf("%s: %+v", what, pin)
		}
	}
	if !made.Created.Equal(got.Created) || made.Created.IsZero() {
		t.Errorf("created %s when it was made, %s afterwards", made.Created, got.Created)
	}
	stored := s.pins[statetest.Cid("a")] // what IPFS is to connect to
	if len(stored.Origins) != maxOrigins || stored.MaxDepth != api.PinModeRecursive.ToPinDepth() {
		t.Errorf("stored: %+v", stored)
	}
	var list struct{ Count int }
	s.call(http.MethodGet, "/pins?status=queued&name="+url.QueryEscape(name), "", http.StatusOK, &list)
	if list.Count != 1 {
		t.Errorf("%d pins of that name", list.Count)
	}
}

// TestPages: page after page lists each pin once, also of those that were made in the
// same second.
func TestPages(t *testing.T) {
	const pins = 57
	s := newService(t)
	for i := range pins {
		c := s.add(fmt.Sprint(i)).Pin.Cid
		s.set(func() {
			pin := s.pins[c]
			pin.Timestamp = time.Date(2026, 1, 1, 0, 0, i/30, 0, time.UTC)
			s.pins[c] = pin
		})
	}
	seen := make(map[string]time.Time)
	query := "limit=10&status=queued"
	for page := 0; ; page++ {
		var got struct {
			Count   int
			Results []pinStatus
		}
		s.call(http.MethodGet, "/pins?"+query, "", http.StatusOK, &got)
		if want := pins - 10*page; got.Count != want {
			t.Errorf("page %d counts %d pins, want %d", page, got.Count, want)
		}
		for _, r := range got.Results {
			if _, again := seen[r.RequestID]; again {
				t.Errorf("%s is listed again on page %d", r.RequestID, page)
			}
			seen[r.RequestID] = r.Created
		}
		if len(got.Results) == got.Count || page > pins {
			break
		}
		query = "limit=10&status=queued&before=" + url.QueryEscape(got.Results[len(got.Results)-1].Created.Format(time.RFC3339Nano))
	}
	if len(seen) != pins {
		t.Errorf("%d pins in all, want %d", len(seen), pins)
	}
	var newer pinsvc.PinList
	s.call(http.MethodGet, "/pins?status=queued&limit=100&after="+url.QueryEscape(seen[statetest.Cid("0").String()].Format(time.RFC3339Nano)), "", http.StatusOK, &newer)
	for _, r := range newer.Results {
		if !r.Created.After(seen[statetest.Cid("0").String()]) {
			t.Errorf("%s of %s is not after it", r.RequestID, r.Created)
		}
	}
	if int(newer.Count) != len(newer.Results) || newer.Count < pins-30 || newer.Count >= pins {
		t.Errorf("%d are newer", newer.Count)
	}
}

// TestDelegates: each address once, and no more than the specification allows.
func TestDelegates(t *testing.T) {
	s := newService(t)
	made := s.add("a")
	c := made.Pin.Cid
	for range 15 {
		s.says[c] = append(s.says[c], api.TrackerStatusPinned)
	}
	var got pinStatus
	s.call(http.MethodGet, "/pins/"+made.RequestID, "", http.StatusOK, &got)
	pin := api.PinCid(c)
	pin.Allocations = somePeers(15)
	pin.ReplicationFactorMin, pin.ReplicationFactorMax = 15, 15
	var of []string
	for _, addr := range s.api.delegates(t.Context(), pin) {
		of = append(of, addr.String())
	}
	for _, delegates := range [][]string{got.Delegates, of} {
		if once := slices.Compact(slices.Sorted(slices.Values(delegates))); len(delegates) != maxDelegates || len(once) != maxDelegates {
			t.Errorf("%d delegates, %d of them different", len(delegates), len(once))
		}
	}
}

// TestDetails: an answer about a pin that fails, or does not go on, says why.
func TestDetails(t *testing.T) {
	s := newService(t)
	made := s.add("a")
	for _, tt := range []struct {
		says []api.TrackerStatus
		want string
	}{
		{[]api.TrackerStatus{api.TrackerStatusPinError, api.TrackerStatusPinError}, "2 of 2 peers: pin_error at peer "},
		{[]api.TrackerStatus{api.TrackerStatusPinQueued, api.TrackerStatusClusterError, api.TrackerStatusRemote}, "1 of 2 peers: cluster_error at peer "},
		{[]api.TrackerStatus{api.TrackerStatusPinQueued}, ""},
		{[]api.TrackerStatus{api.TrackerStatusPinned, api.TrackerStatusPinError}, ""},
	} {
		s.set(func() { s.says[made.Pin.Cid] = tt.says })
		var got pinsvc.PinStatus
		s.call(http.MethodGet, "/pins/"+made.RequestID, "", http.StatusOK, &got)
		details := got.Info["status_details"]
		if !strings.HasPrefix(details, tt.want) || (details == "") != (tt.want == "") || details != "" && !strings.Contains(details, ": error ") {
			t.Errorf("%v: %q, want %q", tt.says, details, tt.want)
		}
	}
}

// TestUndecodable: a pin that cannot be decoded has failed, is listed as that and found.
func TestUndecodable(t *testing.T) {
	s := newService(t)
	c := statetest.Cid("a")
	s.set(func() {
		s.pins[c], s.says[c], s.corrupt = api.Pin{Cid: c}, []api.TrackerStatus{api.TrackerStatusClusterError}, map[api.Cid]bool{c: true}
	})
	var got pinsvc.PinStatus
	s.call(http.MethodGet, "/pins/"+c.String(), "", http.StatusOK, &got)
	var list pinsvc.PinList
	s.call(http.MethodGet, "/pins?status=failed", "", http.StatusOK, &list)
	if got.Status != pinsvc.StatusFailed || list.Count != 1 || list.Results[0].RequestID != c.String() || got.Info["status_details"] == "" {
		t.Errorf("%+v, listed: %+v", got, list)
	}
}

// TestFilters: values that are written one by one are one list, and an entry of meta
// without a value is not the same as none.
func TestFilters(t *testing.T) {
	s := newService(t)
	a, b := s.add("a"), s.add("b")
	s.set(func() { s.says[a.Pin.Cid] = []api.TrackerStatus{api.TrackerStatusPinned} })
	for query, want := range map[string]uint64{
		"status=pinned&status=queued":                                            2,
		"status=pinned&status=queued&cid=" + a.RequestID + "&cid=" + b.RequestID: 2,
		"status=queued,pinned&meta=" + url.QueryEscape(`{"none":""}`):            0,
		"status=queued,pinned&meta=" + url.QueryEscape(`{}`):                     2,
		"status=queued&match=exact&name=B":                                       0,
		"status=queued&match=iexact&name=B":                                      1,
		"status=queued,pinned&match=partial&name=A":                              0,
		"status=queued,pinned&match=ipartial&name=A":                             1,
	} {
		var list pinsvc.PinList
		if s.call(http.MethodGet, "/pins?"+query, "", http.StatusOK, &list); list.Count != want {
			t.Errorf("%s: %d pins, want %d", query, list.Count, want)
		}
	}
}

// TestHTTP: what all answers have in common.
func TestHTTP(t *testing.T) {
	s := newService(t, func(cfg *pinsvcapi.Config) { cfg.BasicAuthCredentials = map[string]string{"user": "password"} })
	for _, header := range []string{"", "Bearer nonsense", "Basic dXNlcjp3cm9uZw==", "Other"} {
		s.header = http.Header{"Authorization": {header}, "Origin": {"https://app.test"}}
		got := s.call(http.MethodGet, "/pins", "", http.StatusUnauthorized, nil)
		if got.Get("WWW-Authenticate") == "" || got.Get("Content-Type") != "application/json" {
			t.Errorf("Authorization %q: %v", header, got)
		}
	}
	s.header = http.Header{"Authorization": {"Basic dXNlcjpwYXNzd29yZA=="}, "Origin": {"https://app.test"}}
	var token struct{ Token string }
	s.call(http.MethodPost, "/token", "", http.StatusOK, &token)
	s.header.Set("Authorization", "Bearer "+token.Token)
	for path, status := range map[string]int{"/pins": http.StatusOK, "/pins?limit=0": http.StatusBadRequest, "/none": http.StatusNotFound} {
		got := s.call(http.MethodGet, path, "", status, nil)
		if got.Get("Content-Type") != "application/json" || got.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: %v", path, got)
		}
	}
	// A browser asks without a token whether it may.
	s.header = http.Header{"Origin": {"https://app.test"}, "Access-Control-Request-Method": {http.MethodGet}}
	got := s.call(http.MethodOptions, "/pins", "", http.StatusNoContent, nil)
	if got.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a browser is told %v", got)
	}
}
