package role_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var self, other = statetest.Peer("self"), statetest.Peer("other")

// pinset is a pinset in memory that can fail.
type pinset struct {
	state.Store
	get, list error
	corrupt   []api.Cid // of pins that cannot be decoded, undefined for another row
	lists     int
}

func (p *pinset) GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	if p.get != nil {
		return nil, state.Revision{}, p.get
	}
	if slices.Contains(p.corrupt, c) {
		return nil, state.Revision{1}, undecodable(c)
	}
	pin, err := p.Get(ctx, c)
	if errors.Is(err, state.ErrNotFound) {
		return nil, state.Revision{}, nil
	}
	return &pin, state.Revision{1}, err
}

func undecodable(c api.Cid) error { return fmt.Errorf("the pin of %s is %w", c, state.ErrCorrupt) }

func (p *pinset) ScanPiece(ctx context.Context, _, _ int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	p.lists++
	for _, c := range p.corrupt {
		bad(c, undecodable(c))
	}
	pins := make(chan api.Pin, 100)
	if err := p.List(ctx, pins); err != nil {
		return err
	}
	for pin := range pins {
		if err := f(pin, state.Revision{1}); err != nil {
			return err
		}
	}
	return p.list
}

func newPinset(t *testing.T, pins ...api.Pin) *pinset {
	t.Helper()
	st, err := dsstate.New(t.Context(), inmem.New(), "/pins", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pins {
		if err := st.Add(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return &pinset{Store: st}
}

func pinAt(label string, peers ...peer.ID) api.Pin {
	p := api.PinWithOpts(statetest.Cid(label), api.PinOptions{
		ReplicationFactorMin: 1, ReplicationFactorMax: 2, Name: "name of " + label,
		Metadata: map[string]string{"owner": label},
	})
	p.Allocations, p.Timestamp = peers, time.Unix(1000, 0)
	return p
}

// somePins are one of each sort, as far as an API peer can tell.
func somePins() (remote, everywhere, meta api.Pin) {
	remote, everywhere, meta = pinAt("remote", other), pinAt("everywhere"), pinAt("meta")
	everywhere.ReplicationFactorMin, everywhere.ReplicationFactorMax = -1, -1
	meta.Type = api.MetaType
	return remote, everywhere, meta
}

// TestTrack: a pin that this peer would have to hold is refused, by name. All
// others are none of its business.
func TestTrack(t *testing.T) {
	tr := role.NewTracker(self, "me", newPinset(t))
	remote, everywhere, meta := somePins()
	metaHere := pinAt("meta here", self)
	metaHere.Type = api.MetaType
	for _, pin := range []api.Pin{remote, everywhere, meta, metaHere} {
		if err := tr.Track(t.Context(), pin); err != nil {
			t.Errorf("Track(%s): %s", pin.Name, err)
		}
		if err := tr.Untrack(t.Context(), pin.Cid); err != nil {
			t.Errorf("Untrack(%s): %s", pin.Name, err)
		}
	}
	mine := pinAt("mine", other, self)
	err := tr.Track(t.Context(), mine)
	want := "peer " + self.String() + " has the role api and no IPFS daemon: it cannot hold pins"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), mine.Cid.String()) {
		t.Errorf("Track = %v", err)
	}
	if err := tr.Untrack(t.Context(), mine.Cid); err != nil {
		t.Error(err)
	}
}

func checkInfo(t *testing.T, got api.PinInfo, pin api.Pin, status api.TrackerStatus) {
	t.Helper()
	switch {
	case got.Status != status || got.Error != "":
		t.Errorf("%s: status %s, error %q", pin.Name, got.Status, got.Error)
	case !got.Cid.Equals(pin.Cid) || got.Name != pin.Name || got.Metadata["owner"] != pin.Metadata["owner"] ||
		!slices.Equal(got.Allocations, pin.Allocations) || !got.Created.Equal(pin.Timestamp) || !got.TS.Equal(pin.Timestamp):
		t.Errorf("%s: %+v is not %+v", pin.Name, got, pin)
	case got.Peer != self || got.PeerName != "me" || got.IPFS != "" || len(got.IPFSAddresses) > 0:
		t.Errorf("%s: of another peer: %+v", pin.Name, got)
	}
}

func TestStatus(t *testing.T) {
	remote, everywhere, meta := somePins()
	pins := newPinset(t, remote, everywhere, meta)
	tr := role.NewTracker(self, "me", pins)
	for _, tt := range []struct {
		pin  api.Pin
		want api.TrackerStatus
	}{
		{remote, api.TrackerStatusRemote}, {everywhere, api.TrackerStatusRemote}, {meta, api.TrackerStatusSharded},
	} {
		checkInfo(t, tr.Status(t.Context(), tt.pin.Cid), tt.pin, tt.want)
		recovered, err := tr.Recover(t.Context(), tt.pin.Cid)
		if err != nil {
			t.Error(err)
		}
		checkInfo(t, recovered, tt.pin, tt.want)
	}

	missing := statetest.Cid("missing")
	start := time.Now()
	info := tr.Status(t.Context(), missing)
	if info.Status != api.TrackerStatusUnpinned || info.Error != "" || !info.Cid.Equals(missing) ||
		info.Peer != self || info.PeerName != "me" || info.TS.Before(start) {
		t.Errorf("of a missing pin: %+v", info)
	}
	pins.get = errors.New("the database is away")
	info = tr.Status(t.Context(), remote.Cid)
	if info.Status != api.TrackerStatusClusterError || info.Error != pins.get.Error() || !info.Cid.Equals(remote.Cid) {
		t.Errorf("of a pin that cannot be read: %+v", info)
	}
	if size, err := tr.PinQueueSize(t.Context()); size != 0 || err != nil {
		t.Errorf("PinQueueSize = %d, %v", size, err)
	}
}

func statusAll(ctx context.Context, tr *role.Tracker, filter api.TrackerStatus) ([]api.PinInfo, error) {
	out := make(chan api.PinInfo, 10)
	err := tr.StatusAll(ctx, filter, out)
	var got []api.PinInfo
	for info := range out { // ends only if it was closed
		got = append(got, info)
	}
	return got, err
}

// TestStatusAll: the filter decides what is sent, and whether the pinset is
// looked at.
func TestStatusAll(t *testing.T) {
	remote, everywhere, meta := somePins()
	pins := newPinset(t, remote, everywhere, meta)
	tr := role.NewTracker(self, "me", pins)
	want := map[api.Cid]api.TrackerStatus{
		remote.Cid: api.TrackerStatusRemote, everywhere.Cid: api.TrackerStatusRemote, meta.Cid: api.TrackerStatusSharded,
	}
	for _, tt := range []struct {
		filter api.TrackerStatus
		pins   []api.Pin
		lists  int
	}{
		{api.TrackerStatusUndefined, []api.Pin{remote, everywhere, meta}, 1},
		{api.TrackerStatusRemote, []api.Pin{remote, everywhere}, 1},
		{api.TrackerStatusSharded | api.TrackerStatusPinned, []api.Pin{meta}, 1},
		{api.TrackerStatusPinned | api.TrackerStatusPinError | api.TrackerStatusQueued | api.TrackerStatusPinning |
			api.TrackerStatusUnpinning | api.TrackerStatusUnexpectedlyUnpinned | api.TrackerStatusUnpinned, nil, 0},
	} {
		pins.lists = 0
		got, err := statusAll(t.Context(), tr, tt.filter)
		if err != nil {
			t.Errorf("filter %s: %s", tt.filter, err)
		}
		gotCids := sorted(got, func(i api.PinInfo) string { return i.Cid.String() })
		wantCids := sorted(tt.pins, func(p api.Pin) string { return p.Cid.String() })
		if !slices.Equal(gotCids, wantCids) {
			t.Errorf("filter %s: got %v, want %v", tt.filter, gotCids, wantCids)
		}
		for _, info := range got {
			i := slices.IndexFunc(tt.pins, func(p api.Pin) bool { return p.Cid.Equals(info.Cid) })
			if i >= 0 {
				checkInfo(t, info, tt.pins[i], want[info.Cid])
			}
		}
		if pins.lists != tt.lists {
			t.Errorf("filter %s: listed the pinset %d times, not %d", tt.filter, pins.lists, tt.lists)
		}
	}

	pins.list = errors.New("the database is away")
	if _, err := statusAll(t.Context(), tr, api.TrackerStatusUndefined); !errors.Is(err, pins.list) {
		t.Errorf("a listing that is cut short: %v", err)
	}
	pins.lists = 0
	out := make(chan api.PinInfo)
	if err := tr.RecoverAll(t.Context(), out); err != nil || pins.lists != 0 {
		t.Errorf("RecoverAll listed the pinset %d times: %v", pins.lists, err)
	}
	if _, open := <-out; open {
		t.Error("RecoverAll recovers something")
	}
}

// TestUndecodable: a pin that cannot be decoded is one entry with its CID, and the
// others are listed. A row that is no pin is none.
func TestUndecodable(t *testing.T) {
	remote, _, meta := somePins()
	pins := newPinset(t, remote, meta)
	broken := statetest.Cid("broken")
	pins.corrupt = []api.Cid{api.CidUndef, broken}
	tr := role.NewTracker(self, "me", pins)

	want := undecodable(broken).Error()
	info := tr.Status(t.Context(), broken)
	if info.Status != api.TrackerStatusClusterError || info.Error != want || !info.Cid.Equals(broken) || info.Peer != self || info.PeerName != "me" {
		t.Errorf("of a broken pin: %+v", info)
	}
	for filter, cids := range map[api.TrackerStatus][]api.Cid{
		api.TrackerStatusUndefined:    {broken, meta.Cid, remote.Cid},
		api.TrackerStatusError:        {broken},
		api.TrackerStatusClusterError: {broken},
		api.TrackerStatusRemote:       {remote.Cid},
		api.TrackerStatusPinned:       nil,
	} {
		got, err := statusAll(t.Context(), tr, filter)
		if err != nil {
			t.Errorf("filter %s: %s", filter, err)
		}
		gotCids := sorted(got, func(i api.PinInfo) string { return i.Cid.String() })
		if wantCids := sorted(cids, api.Cid.String); !slices.Equal(gotCids, wantCids) {
			t.Errorf("filter %s: %v, want %v", filter, gotCids, wantCids)
		}
		for _, info := range got {
			if info.Cid.Equals(broken) && (info.Status != api.TrackerStatusClusterError || info.Error != want) {
				t.Errorf("filter %s: %+v", filter, info)
			}
		}
	}
}

// endless is a pinset without an end, of pins or of such that cannot be decoded.
type endless struct {
	*pinset
	broken bool
	ended  chan struct{}
}

func (e endless) ScanPiece(ctx context.Context, _, _ int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	defer close(e.ended)
	for ctx.Err() == nil {
		if e.broken {
			bad(statetest.Cid("one of many"), state.ErrCorrupt)
		} else if err := f(pinAt("one of many", other), state.Revision{1}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// TestStatusAllLeft: a reader that leaves ends the listing, with its error.
func TestStatusAllLeft(t *testing.T) {
	for _, broken := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			pins := endless{newPinset(t), broken, make(chan struct{})}
			tr := role.NewTracker(self, "me", pins)
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(t.Context())
			out, done := make(chan api.PinInfo), make(chan error)
			go func() { done <- tr.StatusAll(ctx, api.TrackerStatusUndefined, out) }()
			<-out
			synctest.Wait() // it waits for the reader
			cancel(gone)
			synctest.Wait()
			select {
			case err := <-done:
				if !errors.Is(err, gone) {
					t.Errorf("StatusAll = %v", err)
				}
			default:
				t.Fatal("StatusAll does not return")
			}
			if _, open := <-out; open {
				t.Error("out is not closed")
			}
			select {
			case <-pins.ended:
			default:
				t.Error("the listing goes on")
			}
		})
	}
}
