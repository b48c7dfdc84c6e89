package placement

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// firstOnly lists like upstream's connector: the pins of the first type.
type firstOnly struct {
	IPFS
	pins map[string][]api.Cid
	err  error
}

func (f firstOnly) PinLs(ctx context.Context, types []string, out chan<- api.IPFSPinInfo) error {
	defer close(out)
	for _, c := range f.pins[types[0]] {
		select {
		case out <- api.IPFSPinInfo{Cid: c}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.err
}

// TestPinLs: the pins of every type are listed.
func TestPinLs(t *testing.T) {
	a, b := statetest.Cid("a"), statetest.Cid("b")
	daemon := firstOnly{pins: map[string][]api.Cid{"recursive": {a}, "direct": {b}}}
	list := func(ctx context.Context, daemon firstOnly) ([]api.Cid, error) {
		out := make(chan api.IPFSPinInfo, 10)
		err := New(Options{}).Record(daemon).PinLs(ctx, []string{"recursive", "direct"}, out)
		var got []api.Cid
		for info := range out {
			got = append(got, info.Cid)
		}
		return got, err
	}
	if got, err := list(t.Context(), daemon); err != nil || !slices.Equal(got, []api.Cid{b, a}) {
		t.Errorf("PinLs = %v, %v", got, err)
	}
	daemon.err = errors.New("it is gone")
	if _, err := list(t.Context(), daemon); !errors.Is(err, daemon.err) {
		t.Errorf("PinLs = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(Options{}).Record(daemon).PinLs(ctx, []string{"recursive"}, make(chan api.IPFSPinInfo)); err == nil {
		t.Error("PinLs for a reader that has left succeeds")
	}
}

// unpinsFirst is a daemon that updates no pin, and may lose the other one meanwhile.
type unpinsFirst struct {
	IPFS
	pinned map[api.Cid]bool
	goes   bool
	asked  []api.Pin
}

var errGone = errors.New("'from' cid was not recursively pinned already")

func (u *unpinsFirst) PinLsCid(_ context.Context, pin api.Pin) (api.IPFSPinStatus, error) {
	if u.pinned[pin.Cid] {
		return api.IPFSPinStatusRecursive, nil
	}
	return api.IPFSPinStatusUnpinned, nil
}

func (u *unpinsFirst) Pin(_ context.Context, pin api.Pin) error {
	u.asked = append(u.asked, pin)
	if !pin.PinUpdate.Defined() {
		return nil
	}
	if u.goes {
		delete(u.pinned, pin.PinUpdate)
	}
	return errGone
}

// TestUpdateOfUnpinned: an update that fails as the other pin was unpinned since it
// was looked at is made as a pin of its own; one that fails otherwise has failed.
func TestUpdateOfUnpinned(t *testing.T) {
	a, b := statetest.Cid("a"), statetest.Cid("b")
	for _, c := range []struct {
		name        string
		there, goes bool
		want        error
		asked       int
	}{
		{"unpinned meanwhile", true, true, nil, 2},
		{"still pinned", true, false, errGone, 1},
		{"was not pinned", false, false, errGone, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			daemon := &unpinsFirst{pinned: map[api.Cid]bool{a: c.there}, goes: c.goes}
			pin := api.PinWithOpts(b, api.PinOptions{PinUpdate: a, Name: "kept"})
			if err := New(Options{}).Record(daemon).update(t.Context(), pin); !errors.Is(err, c.want) {
				t.Errorf("update = %v, want %v", err, c.want)
			}
			if n := len(daemon.asked); n != c.asked || daemon.asked[n-1].Name != "kept" {
				t.Errorf("asked for %v", daemon.asked)
			}
		})
	}
}

func TestKuboSize(t *testing.T) {
	c := statetest.Cid("a")
	answer, status := `{"Hash":"x","Size":10,"CumulativeSize":1234}`, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v0/files/stat" || r.URL.Query().Get("arg") != "/ipfs/"+c.String() || r.URL.Query().Get("offline") != "true" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	size := KuboSize(server.URL, server.Client())
	if n, err := size(t.Context(), c); n != 1234 || err != nil {
		t.Errorf("size = %d, %v", n, err)
	}
	answer, status = `{"Message":"not a file"}`, http.StatusInternalServerError
	if _, err := size(t.Context(), c); err == nil {
		t.Error("an error counts as a size")
	}
	answer, status = `no JSON`, http.StatusOK
	if _, err := size(t.Context(), c); err == nil {
		t.Error("text that is no JSON counts as a size")
	}
}

func TestTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	sc, ok := parseTraceparent(good)
	if !ok || sc.TraceID.String() != "4bf92f3577b34da6a3ce929d0e0e4736" || sc.SpanID.String() != "00f067aa0ba902b7" || sc.TraceOptions != 1 {
		t.Errorf("%+v, %t", sc, ok)
	}
	for _, bad := range []string{"", "00", "01" + good[2:], "00-xx-yy-01", good + "-1", good[:len(good)-1], "00-00000000000000000000000000000000-00f067aa0ba902b7-01"} {
		if sc, ok := parseTraceparent(bad); ok {
			t.Errorf("%q is taken for %+v", bad, sc)
		}
	}
	ctx, span := startSpan(t.Context(), "test", good)
	defer span.End()
	if got := trace.FromContext(ctx).SpanContext().TraceID; got != sc.TraceID {
		t.Errorf("the span belongs to trace %s", got)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("--")
	f.Fuzz(func(t *testing.T, text string) {
		if sc, ok := parseTraceparent(text); ok && sc.TraceID == (trace.TraceID{}) {
			t.Errorf("%q has no trace", text)
		}
	})
}
