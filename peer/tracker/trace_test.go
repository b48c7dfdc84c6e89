package tracker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	sc, ok := parseTraceparent(good)
	if !ok || sc.TraceID.String() != "4bf92f3577b34da6a3ce929d0e0e4736" || sc.SpanID.String() != "00f067aa0ba902b7" || sc.TraceOptions != 1 {
		t.Errorf("%+v, %t", sc, ok)
	}
	for _, bad := range []string{
		"", "00", "01" + good[2:], "00-xx-yy-01", good + "-1", good[:len(good)-1],
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
	} {
		if sc, ok := parseTraceparent(bad); ok {
			t.Errorf("%q is taken for %+v", bad, sc)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("--")
	f.Fuzz(func(t *testing.T, text string) {
		if sc, ok := parseTraceparent(text); ok && (sc.TraceID == trace.TraceID{} || sc.SpanID == trace.SpanID{}) {
			t.Errorf("%q is taken for %+v", text, sc)
		}
	})
}

// spans keeps the spans of a tracker's work that have ended.
type spans struct {
	mu   sync.Mutex
	have []*trace.SpanData
}

func (s *spans) ExportSpan(d *trace.SpanData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Name == "tracker/pin" || d.Name == "tracker/unpin" {
		s.have = append(s.have, d)
	}
}

// tracedIPFS notes to which trace a request belongs.
type tracedIPFS struct {
	*ipfs
	seen []trace.TraceID
}

func (i *tracedIPFS) note(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen = append(i.seen, trace.FromContext(ctx).SpanContext().TraceID)
}

func (i *tracedIPFS) Pin(ctx context.Context, pin api.Pin) error {
	i.note(ctx)
	return i.ipfs.Pin(ctx, pin)
}

func (i *tracedIPFS) Unpin(ctx context.Context, c api.Cid) error {
	if c != nobodys() { // the first pin waits for that, too
		i.note(ctx)
	}
	return i.ipfs.Unpin(ctx, c)
}

// TestWorkIsTraced: the work on a change belongs to the trace of the write that made it,
// and what IPFS is asked for to the work.
func TestWorkIsTraced(t *testing.T) {
	ended := &spans{}
	trace.RegisterExporter(ended)
	defer trace.UnregisterExporter(ended)
	synctest.Test(t, func(t *testing.T) {
		daemon := &tracedIPFS{ipfs: newIPFS()}
		r := newRig(t, newStore(), daemon.ipfs, func(o *Options) { o.Daemon = daemon })
		pin := r.own("a")
		writes := []struct{ traceparent, work string }{
			{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracker/pin"},
			{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracker/unpin"},
		}
		for i, ch := range []state.Change{r.store.set(pin.Cid, pin), r.store.set(pin.Cid, nil)} {
			ch.Traceparent = writes[i].traceparent
			r.act(ch)
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		if len(ended.have) != len(writes) {
			t.Fatalf("%d spans of work have ended, want %d", len(ended.have), len(writes))
		}
		var want []trace.TraceID
		for i, w := range writes {
			of, _ := parseTraceparent(w.traceparent)
			want = append(want, of.TraceID)
			if d := ended.have[i]; d.Name != w.work || d.TraceID != of.TraceID || d.ParentSpanID != of.SpanID {
				t.Errorf("%s belongs to trace %s, span %s: want %s of %s", d.Name, d.TraceID, d.ParentSpanID, w.work, w.traceparent)
			}
		}
		if !slices.Equal(daemon.seen, want) {
			t.Errorf("IPFS was asked by %v, want %v", daemon.seen, want)
		}
	})
}
