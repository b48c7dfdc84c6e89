package scyllastate

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestKindOfEvents: what a write is told as.
func TestKindOfEvents(t *testing.T) {
	c := statetest.Cid("x")
	pin := api.PinCid(c)
	value, err := pin.ProtoMarshal()
	must(t, err)
	none, marker, there := row{}, row{rev: newUUID(time.Now())}, row{rev: newUUID(time.Now()), pin: value}
	move, expiry := state.WithCause(t.Context(), state.CauseMove), state.WithCause(t.Context(), state.CauseExpiry)
	s := &Store{eventsSince: time.Now()}
	for name, tt := range map[string]struct {
		ctx  context.Context
		old  row
		next bool
		want int8
	}{
		"made":                 {t.Context(), none, true, kindAccepted},
		"made over a marker":   {t.Context(), marker, true, kindAccepted},
		"replaced":             {t.Context(), there, true, kindUpdated},
		"moved":                {move, there, true, kindReallocated},
		"removed":              {t.Context(), there, false, kindUnpinned},
		"removed as it is due": {expiry, there, false, kindExpired},
	} {
		w := &write{cid: c, old: tt.old, feeds: s.withEvents(nil, c)}
		if tt.next {
			w.next = &content{pin: pin}
		}
		rows := newIntents(tt.ctx, w)
		if len(rows) != 1 || rows[0].Kind != tt.want || rows[0].Feed != state.EventFeedName(state.EventShard(c)) {
			t.Errorf("%s: %+v, want kind %d", name, rows, tt.want)
		}
	}
	if feeds := new(Store).withEvents([]string{"a"}, c); len(feeds) != 1 {
		t.Errorf("without events a write is told to %q", feeds)
	}
}

// FuzzEvent feeds arbitrary rows to the reader of events: it never panics, and what it
// accepts is written as it was.
func FuzzEvent(f *testing.F) {
	c, p := statetest.Cid("x"), statetest.Peer("p")
	for kind := lastPinKind; kind <= kindUnpinFailed+1; kind++ {
		f.Add(kind, c.Bytes(), p.String(), int64(7), "an error")
		f.Add(kind, c.Bytes(), p.String(), int64(0), gocql.UUID{1}.String()+" a name")
	}
	f.Add(kindPinned, []byte("no CID"), "no peer", int64(-1), "")
	f.Add(kindCame, c.Bytes(), p.String(), int64(0), "no UUID")
	f.Fuzz(func(t *testing.T, kind int8, key []byte, peer string, size int64, text string) {
		r := changeRow{at: newUUID(time.Now()), cid: key, rev: newUUID(time.Now()), kind: kind, peer: peer, size: size, text: text}
		e, err := otherEvent(r)
		if err != nil {
			return
		}
		var again intent
		if e.Peer != nil {
			again, err = peerIntent(*e.Peer)
		} else {
			again, err = statusIntent(*e.Status)
		}
		if err != nil {
			t.Fatalf("%+v became %+v, which is refused: %s", r, e, err)
		}
		if again.Kind != kind || e.Status != nil && (!bytes.Equal(again.Cid, key) || again.Size != size) {
			t.Errorf("%+v became %+v", r, again)
		}
		if once, err := otherEvent(changeRow{at: r.at, cid: again.Cid, rev: again.Rev, kind: kind, peer: again.Peer, size: size, text: again.Error}); err != nil || once.Kind != e.Kind {
			t.Errorf("%+v does not survive that it is written: %+v, %v", e, once, err)
		}
	})
}
