package multipeer

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// loadPinned makes pins that the given nodes have pinned for an hour.
func (w *world) loadPinned(n int, on ...*node) []api.Cid {
	w.t.Helper()
	loaded := w.loadMany("pinned", 0, n, on...)
	var cids []api.Cid
	for i := range n {
		c := cidOf(w.t, fmt.Sprintf("pinned %d", i))
		for _, at := range on {
			must(w.t, w.loadPlacement(at, c, loaded))
			at.kubo.put(c)
		}
		cids = append(cids, c)
	}
	return cids
}

// readPins is the statement by which a listing reads what it has found.
const readPins = "FROM pins WHERE cid IN ?"

// stopAfter lets the database answer no more requests of a peer once it has read so
// many batches of pins: a listing is in the middle then.
func (n *node) stopAfter(batches int) (stopped <-chan struct{}) {
	reached := make(chan struct{})
	var once sync.Once
	seen := 0
	n.database.lose(func(text string, _ []byte) bool {
		if strings.Contains(text, readPins) {
			seen++
		}
		if seen > batches {
			once.Do(func() { close(reached) })
		}
		return seen > batches
	})
	return reached
}

// TestOutageOfListing: the database stands still, or its connections are cut, while a
// listing is under way. The list is never short without an error, and has what of
// another peer is missing when only that one is cut off.
func TestOutageOfListing(t *testing.T) {
	const pins = 700 // several batches, of which the first ones are sent before
	w := newWorld(t)
	w.ping = 15 * time.Second // no peer is found dead, whatever stands still
	w.conf.RequestTimeout = 5 * time.Second
	w.start(w.newNodes(2)...)
	asked, other := w.nodes[0], w.nodes[1]
	w.loadPinned(pins, asked, other)
	restURL, pinsURL := asked.serve(t)
	list := restURL + "/pins"
	if got := get(list); !got.whole() || len(got.entries) != pins {
		t.Fatalf("before: %s, want %d entries", got, pins)
	}

	t.Run("the database stands still", func(t *testing.T) {
		asked.stopAfter(6)
		got := get(list)
		t.Log(got)
		if got.whole() || got.status != http.StatusOK || len(got.entries) == 0 || len(got.entries) >= pins {
			t.Errorf("%s, want some entries and an error", got)
		}
		for _, query := range []string{"/pins", "/pins?filter=pinned", "/pins?filter=error", "/pins?local=true", "/pins/" + got.entries[0].Cid.String()} {
			if got := get(restURL + query); got.whole() {
				t.Errorf("then, %s: %s", query, got)
			}
		}
		if got := get(pinsURL + "/pins"); got.status != http.StatusServiceUnavailable || got.retry == "" {
			t.Errorf("then, the pinning service: %s, Retry-After: %q", got, got.retry)
		}
		asked.database.lose(nil)
		eventually(t, "the whole list", func() string {
			if got := get(list); !got.whole() || len(got.entries) != pins {
				return got.String()
			}
			return ""
		})
	})
	t.Run("that of the other peer stands still", func(t *testing.T) {
		other.stopAfter(6)
		got := get(list)
		silent := 0
		for _, e := range got.entries {
			here, there := e.PeerMap[asked.id.String()], e.PeerMap[other.id.String()]
			if here.Status != api.TrackerStatusPinned || there.Status != api.TrackerStatusPinned && there.Status != api.TrackerStatusClusterError {
				t.Errorf("%s is %s here and %s there", e.Cid, here.Status, there.Status)
			}
			if there.Status == api.TrackerStatusClusterError {
				silent++
			}
		}
		t.Logf("%s, %d of them an error of the other peer", got, silent)
		if !got.whole() || len(got.entries) != pins || silent == 0 || silent == pins {
			t.Errorf("%s, %d of them an error of the other peer, want %d and some", got, silent, pins)
		}
		other.database.lose(nil)
	})
	t.Run("the connections are cut", func(t *testing.T) {
		stopped := asked.stopAfter(6)
		answered := make(chan answer, 1)
		go func() { answered <- get(list) }()
		<-stopped
		asked.database.cut()
		got := <-answered
		asked.database.lose(nil)
		t.Log(got)
		if got.whole() || got.status != http.StatusOK || len(got.entries) == 0 || len(got.entries) >= pins {
			t.Errorf("%s, want some entries and an error", got)
		}
	})
}

// TestUndecodableRowIsOneEntry: of 121 pins one cannot be decoded. All are listed, that
// one with an error.
func TestUndecodableRowIsOneEntry(t *testing.T) {
	const pins = 121
	w := newWorld(t)
	w.ping = 3 * time.Second // nobody looks dead because the machine is busy
	w.start(w.newNodes(2)...)
	cids := w.loadPinned(pins, w.nodes...)
	restURL, pinsURL := w.nodes[0].serve(t)
	broken := cids[46]
	must(t, w.sql.Query("UPDATE "+w.conf.Keyspace+".pins SET pin = 0xffff WHERE cid = ?", broken.Bytes()).Exec())

	for query, want := range map[string]int{"": pins, "?local=true": pins, "?filter=pinned": pins - 1, "?filter=cluster_error": 1, "?filter=error": 1, "?filter=remote": 0} {
		got := get(restURL + "/pins" + query)
		if !got.whole() || len(got.entries) != want {
			t.Errorf("/pins%s: %s, want %d entries", query, got, want)
		}
		for _, e := range got.entries {
			wrong := 0
			for _, at := range e.PeerMap {
				if at.Status != api.TrackerStatusPinned {
					wrong++
				}
			}
			if (wrong > 0) != (e.Cid == broken) {
				t.Fatalf("/pins%s: %v", query, e)
			}
		}
	}
	got := get(restURL + "/pins/" + broken.String())
	if !got.whole() || len(got.entries) != 1 || got.entries[0].Cid != broken {
		t.Fatalf("alone: %s", got)
	}
	for _, at := range got.entries[0].PeerMap {
		if at.Status != api.TrackerStatusClusterError || !strings.Contains(at.Error, broken.String()) || !strings.Contains(at.Error, "corrupt") {
			t.Errorf("alone: %s, %q", at.Status, at.Error)
		}
	}
	if got := get(pinsURL + "/pins?limit=1000&status=pinned,queued,pinning,failed"); got.status != http.StatusOK {
		t.Errorf("the pinning service: %s", got)
	}
}
