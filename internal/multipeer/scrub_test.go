package multipeer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// load writes the row of a pin as it was written at a time, and nothing beside
// it: no peer learns of it.
func (w *world) load(pin api.Pin, at time.Time) error {
	value, err := pin.ProtoMarshal()
	if err != nil {
		return err
	}
	return w.sql.Query("UPDATE "+w.conf.Keyspace+".pins USING TIMESTAMP ? SET rev = ?, pin = ?, rf_min = ?, rf_max = ? WHERE cid = ?",
		at.UnixMicro(), revAt(at), value, pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Cid.Bytes()).Exec()
}

// revAt is the revision of all that is loaded as of a moment.
func revAt(at time.Time) gocql.UUID { return gocql.MinTimeUUID(at) }

// loadPlacement writes what a peer is said to do with a CID since then.
func (w *world) loadPlacement(n *node, c api.Cid, at time.Time) error {
	if err := w.sql.Query("INSERT INTO "+w.conf.Keyspace+".buckets (holder, bucket) VALUES (?, ?)", n.id.String(), bucketOf(c)).Exec(); err != nil {
		return err
	}
	return w.sql.Query("UPDATE "+w.conf.Keyspace+".placements USING TIMESTAMP ? SET rev = ?, status = ?, updated = ?, attempts = 0, depth = -1 WHERE peer = ? AND bucket = ? AND cid = ?",
		at.UnixMicro(), revAt(at), int8(state.PlacementPinned), at, n.id.String(), bucketOf(c), c.Bytes()).Exec()
}

// bucketOf is the bucket in which the store has a CID. It is constant for ever,
// and the peers do not find rows that are elsewhere.
func bucketOf(c api.Cid) int {
	sum := sha256.Sum256(c.Bytes())
	return int(binary.BigEndian.Uint16(sum[:]) >> 4)
}

// allocated is a pin as upstream would store it.
func (w *world) allocated(text string, on ...*node) api.Pin {
	w.t.Helper()
	opts := factors(-1, -1)
	if len(on) > 0 {
		opts = factors(len(on), len(on))
	}
	pin := api.PinWithOpts(cidOf(w.t, text), opts)
	pin.Allocations, pin.Timestamp = ids(on...), time.Now()
	return pin
}

// TestScrub: what got lost beside the pins is found and mended.
func TestScrub(t *testing.T) {
	w := newPeers(t, 2)
	a, b := w.nodes[0], w.nodes[1]
	w.startedUp()
	old := time.Now().Add(-time.Hour)

	// Pins whose changes no feed has, of one peer, of all, and one that ran out.
	must(t, w.load(w.allocated("unknown to its peer", b), old))
	everywhere := w.allocated("unknown to all")
	must(t, w.load(everywhere, old))
	expired := w.allocated("run out", a)
	expired.ExpireAt = old
	must(t, w.load(expired, old))
	// A pin of which one peer has lost the placement, and a placement without
	// a pin.
	known := w.allocated("known to one of two", a, b)
	must(t, w.load(known, old))
	a.kubo.put(known.Cid)
	must(t, w.loadPlacement(a, known.Cid, old))
	b.kubo.put(known.Cid)
	stray := cidOf(t, "left behind")
	a.kubo.put(stray)
	must(t, w.loadPlacement(a, stray, old))
	// An entry of a pin that every peer is to hold, and that is none.
	long := time.Now().Add(-30 * 24 * time.Hour)
	must(t, w.sql.Query("INSERT INTO "+w.conf.Keyspace+".everywhere (bucket, cid, rev) VALUES (?, ?, ?) USING TIMESTAMP ?",
		bucketOf(stray), stray.Bytes(), gocql.UUIDFromTime(long), long.UnixMicro()).Exec())

	report, err := w.reconciler(a).ScrubOnce(t.Context())
	must(t, err)
	if report.Pins != 4 || report.Strays != 1 || report.BadRows != 0 || report.Told != 6 {
		t.Errorf("the scrub reports %+v", report)
	}
	eventually(t, "the pin that had run out to go", func() string {
		if pin, ok := w.desired()[expired.Cid]; ok {
			return fmt.Sprint(pin)
		}
		return ""
	})
	w.converge()
	if held := a.kubo.held(); len(held) != 2 {
		t.Errorf("%s holds %v", a.name, held)
	}
	var rows int
	must(t, w.sql.Query("SELECT count(*) FROM "+w.conf.Keyspace+".everywhere WHERE bucket = ?", bucketOf(everywhere.Cid)).Scan(&rows))
	if rows != 1 {
		t.Errorf("%d entries list the pin that every peer holds", rows)
	}
}

// reconciler does by hand what the loops of a peer do over a day.
func (w *world) reconciler(n *node) *reconcile.Reconciler {
	return reconcile.New(reconcile.Options{
		Self: n.id, Store: n.store, View: n.components.Monitor.View, Metrics: n.components.Monitor.LatestMetrics,
		Allocator: n.allocator, Finish: n.components.Monitor.Finish,
	})
}
