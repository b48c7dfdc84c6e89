package peerapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestPins: a pin from its making to its end, at upstream's API behind TCP and a socket.
func TestPins(t *testing.T) {
	for _, listen := range []string{anyPort, "/unix" + t.TempDir() + "/api.sock"} {
		cluster := newCluster()
		c := newClient(t, Config{
			URLs: []string{cluster.serve(t, listen, map[string]string{"gateway": "pass word"})},
			User: "gateway", PasswordFile: file(t, "pass word\n"),
		})
		must(t, c.Health(t.Context()))
		id := text("a")
		if _, there, err := c.Allocation(t.Context(), id); there || err != nil {
			t.Errorf("before: %v %v", there, err)
		}
		options := Options{
			ReplMin: 2, ReplMax: 3, Name: "a name & more=1?/+%20é", Metadata: map[string]string{"gateway": "g1", "a key&=": "a=b&c +é", "empty": ""},
		}
		made, err := c.Pin(t.Context(), id, options)
		must(t, err)
		got, there, err := c.Allocation(t.Context(), id)
		if !there || err != nil {
			t.Fatalf("%s: %v %v", listen, there, err)
		}
		for _, pin := range []Allocation{made, got} {
			if pin.Name != options.Name || !maps.Equal(pin.Metadata, options.Metadata) || pin.ReplMin != 2 || pin.ReplMax != 3 ||
				!slices.Equal(pin.Allocations, []string{statetest.Peer("0").String()}) || !pin.Created.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
				t.Errorf("%s: %+v", listen, pin)
			}
		}
		if pin := cluster.pins[statetest.Cid("a")]; pin.MaxDepth != -1 || pin.Type != api.DataType {
			t.Errorf("%+v", pin)
		}
		must(t, c.Unpin(t.Context(), id))
		if len(cluster.pins) != 0 {
			t.Error("it is pinned still")
		}
		must(t, c.Unpin(t.Context(), id)) // twice is once
	}
}

// Upstream pins also when it does not understand all options, so no peer is asked.
func TestPinThatIsInvalidIsNotAsked(t *testing.T) {
	cluster := newCluster()
	c := newClient(t, Config{URLs: []string{cluster.serve(t, anyPort, nil)}})
	for name, pin := range map[string]struct {
		id      string
		options Options
	}{
		"more than most":        {text("a"), Options{ReplMin: 3, ReplMax: 2}},
		"half everywhere":       {text("a"), Options{ReplMin: -1, ReplMax: 2}},
		"negative":              {text("a"), Options{ReplMin: -2, ReplMax: -2}},
		"no key":                {text("a"), Options{Metadata: map[string]string{"": "x"}}},
		"too long":              {text("a"), Options{Name: strings.Repeat("é", 2000)}},
		"no CID":                {"recover", Options{}},
		"a path":                {text("a") + "/../" + text("b"), Options{}},
		"a query":               {text("a") + "?name=x", Options{}},
		"nothing":               {"", Options{}},
		"a CID with a fragment": {text("a") + "#", Options{}},
	} {
		if _, err := c.Pin(t.Context(), pin.id, pin.options); !errors.Is(err, errInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Unpin(t.Context(), "../peers"); !errors.Is(err, errInvalid) {
		t.Error(err)
	}
	if _, _, err := c.Allocation(t.Context(), "x"); !errors.Is(err, errInvalid) {
		t.Error(err)
	}
	if len(cluster.calls) != 0 {
		t.Errorf("the cluster was asked: %v", cluster.calls)
	}
	for _, options := range []Options{{}, {ReplMin: -1, ReplMax: -1}, {ReplMin: 2}, {ReplMax: 2}, {Name: strings.Repeat("é", 255)}} {
		if _, err := c.Pin(t.Context(), text("a"), options); err != nil {
			t.Errorf("%+v: %v", options, err)
		}
	}
}

// What the cluster says of an error comes back, and 404 means "not pinned" only from a
// peer that says so.
func TestErrorsOfPeers(t *testing.T) {
	cluster := newCluster()
	cluster.err = errors.New("not enough peers to allocate")
	url := cluster.serve(t, anyPort, map[string]string{"gateway": "right"})
	c := newClient(t, Config{URLs: []string{url}, User: "gateway", PasswordFile: file(t, "right")})
	_, err := c.Pin(t.Context(), text("a"), Options{})
	var failed *Failed
	if !errors.As(err, &failed) || failed.Status != 500 || failed.Message != "not enough peers to allocate" || failed.Peer != url || !errors.Is(err, ErrReplication) {
		t.Error(err)
	}
	for _, call := range []error{
		c.Unpin(t.Context(), text("a")), errOf(c.Allocation(t.Context(), text("a"))),
	} {
		if !errors.As(call, &failed) {
			t.Error(call)
		}
	}
	var refused *Refused
	for _, password := range []string{"wrong", ""} {
		config := Config{URLs: []string{url}}
		if password != "" {
			config.User, config.PasswordFile = "gateway", file(t, password)
		}
		err = newClient(t, config).Unpin(t.Context(), text("a"))
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || errors.Is(err, ErrReplication) || strings.Contains(err.Error(), "wrong") {
			t.Error(err)
		}
	}
	for body, status := range map[string]int{
		"404 page not found": 404, `{"code":404,"message":"not found"}`: 404, `{"code":404,"message":"pin is not part of the pinset"}`: 410, "moved": 307,
	} {
		c := newClient(t, Config{URLs: []string{fake(t, says(status, body))}})
		if err := c.Unpin(t.Context(), text("a")); !errors.As(err, &refused) || refused.Status != status {
			t.Errorf("%d %s: %v", status, body, err)
		}
		if _, there, err := c.Allocation(t.Context(), text("a")); !errors.As(err, &refused) || there {
			t.Errorf("%d %s: %v", status, body, err)
		}
	}
	err = newClient(t, Config{URLs: []string{fake(t, says(400, strings.Repeat("x", 1<<20)))}}).Unpin(t.Context(), text("a"))
	if !errors.As(err, &refused) || len(refused.Message) != maxMessage {
		t.Errorf("the message has %d bytes", len(refused.Message))
	}
}

func errOf(_ Allocation, _ bool, err error) error { return err }

// An answer that is not whole, of another CID or not JSON is none.
func TestAnswersThatAreNone(t *testing.T) {
	whole := fmt.Sprintf(`{"cid":%q,"name":"n","metadata":{},"allocations":[]}`, text("a"))
	if _, err := newClient(t, Config{URLs: []string{fake(t, says(200, whole))}}).Pin(t.Context(), text("a"), Options{}); err != nil {
		t.Fatal("the whole one:", err)
	}
	for name, body := range map[string]string{
		"empty": "", "cut": whole[:len(whole)-5], "HTML": "<html></html>", "other": strings.Replace(whole, text("a"), text("b"), 1),
		"no CID": `{"name":"n"}`, "null": "null", "two": whole + whole, "list": "[" + whole + "]",
	} {
		c := newClient(t, Config{URLs: []string{fake(t, says(200, body))}})
		var unreachable *Unreachable
		if _, err := c.Pin(t.Context(), text("a"), Options{}); !errors.As(err, &unreachable) || unreachable.Timeout() {
			t.Errorf("%s: pinned: %v", name, err)
		}
		if _, there, err := c.Allocation(t.Context(), text("a")); !errors.As(err, &unreachable) || there {
			t.Errorf("%s: read: %v", name, err)
		}
		if err := c.Unpin(t.Context(), text("a")); !errors.As(err, &unreachable) {
			t.Errorf("%s: unpinned: %v", name, err)
		}
	}
	if err := newClient(t, Config{URLs: []string{fake(t, says(200, "hello"))}}).Health(t.Context()); err == nil {
		t.Error("a server that is no peer is healthy")
	}
}

func TestAddresses(t *testing.T) {
	without, with := newCluster(), newCluster()
	for i := range 30 {
		addr, err := api.NewMultiaddr(fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001", i/2))
		must(t, err)
		with.addrs = append(with.addrs, addr)
	}
	first := without.serve(t, anyPort, nil)
	c := newClient(t, Config{URLs: []string{first, with.serve(t, anyPort, nil)}})
	got, err := c.Addresses(t.Context())
	if err != nil || len(got) != 15 || got[1] != "/ip4/192.0.2.1/tcp/4001" {
		t.Error(got, err)
	}
	if order := c.order(); order[0].name != first {
		t.Error("a peer without an IPFS daemon is taken for one that does not answer")
	}
	if got, err := newClient(t, Config{URLs: []string{first}}).Addresses(t.Context()); err == nil {
		t.Error(got)
	}
}
