package pinsvc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi/pinsvc"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

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
