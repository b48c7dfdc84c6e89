package tracker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// measuredRig is a rig whose service level is measured, and whose revisions are of the time
// of their writes.
type measuredRig struct {
	*rig
	sli    *sli.Metrics
	own    *Metrics
	before map[string]float64
	ended  chan struct{}
	cancel func()
}

func newMeasuredRig(t *testing.T, st *store, daemon *ipfs, change ...func(*Options)) *measuredRig {
	t.Helper()
	m := &measuredRig{sli: sli.NewMetrics(), own: NewMetrics(), ended: make(chan struct{})}
	holder := sli.NewHolder(sli.HolderOptions{
		Metrics: m.sli, Row: func(ctx context.Context, c api.Cid) (state.Placement, bool, error) {
			return st.GetPlacement(ctx, "", c)
		},
	})
	m.rig = newRig(t, st, daemon, append(change, func(o *Options) { o.SLI, o.Metrics = holder, m.own })...)
	m.before = metrictest.Values(t, m.sli)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		holder.Run(ctx)
		close(m.ended)
	}()
	m.cancel = func() {
		cancel()
		<-m.ended
	}
	t.Cleanup(m.cancel)
	return m
}

// write writes a pin, nil removes it, in a revision of now.
func (m *measuredRig) write(c api.Cid, pin *api.Pin) state.Change {
	ch := m.store.set(c, pin)
	ticks := uint64(time.Now().UnixNano()/100) + 0x01b21dd213814000 //nolint:gosec // after 1970
	var rev state.Revision
	binary.BigEndian.PutUint32(rev[0:4], uint32(ticks))            //nolint:gosec // cut off
	binary.BigEndian.PutUint16(rev[4:6], uint16(ticks>>32))        //nolint:gosec // cut off
	binary.BigEndian.PutUint16(rev[6:8], uint16(ticks>>48)|0x1000) //nolint:gosec // 12 bits
	m.store.edit(func() { m.store.revs[c] = rev })
	ch.Rev = rev
	return ch
}

// want fails unless so many events were counted since the last call, by result and content.
func (m *measuredRig) want(what string, want map[string]float64) {
	m.t.Helper()
	synctest.Wait()
	now := metrictest.Values(m.t, m.sli)
	for _, result := range []string{"good", "late", "cancelled"} {
		for _, content := range []string{"available", "no_providers"} {
			series := fmt.Sprintf("ipfscluster_pin_slo_events_total{content=%q,result=%q}", content, result)
			if got := now[series] - m.before[series]; got != want[result+" "+content] {
				m.t.Errorf("%s: %s %s has moved by %v, want %v", what, result, content, got, want[result+" "+content])
			}
		}
	}
	m.before = now
}

// TestServiceLevel: what becomes of a pin in the tracker is what is counted of it.
func TestServiceLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeasuredRig(t, newStore(), newIPFS())
		pin := m.rig.own("a")
		ch := m.write(pin.Cid, pin)
		m.act(ch)
		time.Sleep(2 * time.Second)
		m.want("pinned", map[string]float64{"good available": 1})
		m.act(ch)
		time.Sleep(2 * time.Second)
		m.want("told again", nil)

		m.ipfs.edit(func() { m.ipfs.slow = time.Hour })
		pin = m.rig.own("b")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(59 * time.Second)
		m.want("before its deadline", nil)
		time.Sleep(time.Second)
		m.want("it hangs", map[string]float64{"late available": 1})
		time.Sleep(time.Hour)
		m.want("it ends", nil)
		if n := metrictest.Values(t, m.sli)["ipfscluster_pin_latency_seconds_count"]; n != 2 {
			t.Errorf("%v latencies were observed of two pins", n)
		}

		pin = m.rig.own("c")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(10 * time.Second)
		m.act(m.write(pin.Cid, nil))
		m.want("unpinned", map[string]float64{"cancelled available": 1})
		time.Sleep(10 * time.Second)
		pin = m.rig.own("d")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(10 * time.Second)
		m.act(m.write(pin.Cid, m.pin("d"))) // others are to hold it
		m.want("given to others", map[string]float64{"cancelled available": 1})
		m.act(m.write(pin.Cid, pin))
		time.Sleep(10 * time.Second)
		m.act(m.write(pin.Cid, pin))
		m.want("replaced", map[string]float64{"cancelled available": 1})
		time.Sleep(sli.Deadline)
		m.want("and late", map[string]float64{"late available": 1})
	})
}

// TestServiceLevelOfWhatFails: what fails is late at its deadline, by what IPFS has said of it.
func TestServiceLevelOfWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daemon := &failing{ipfs: newIPFS()}
		m := newMeasuredRig(t, newStore(), daemon.ipfs, func(o *Options) { o.Daemon = daemon })
		for text, want := range map[string]string{"the disk is full": "late available", "ipld: could not find bafy": "late no_providers"} {
			daemon.err = errors.New(text)
			pin := m.rig.own(text)
			m.act(m.write(pin.Cid, pin))
			time.Sleep(59 * time.Second)
			m.want(text, nil)
			time.Sleep(time.Second)
			m.want(text, map[string]float64{want: 1})
		}
	})
}

// failing is a daemon that pins nothing.
type failing struct {
	*ipfs
	err error
}

func (f *failing) Pin(context.Context, api.Pin) error { return f.err }

// TestServiceLevelWithoutRoom: the time of a pin runs also while the queue has no room.
func TestServiceLevelWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeasuredRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize = 0 })
		pin := m.rig.own("a")
		ch := m.write(pin.Cid, pin)
		if err := m.Act(t.Context(), ch); !errors.Is(err, state.ErrBusy) {
			t.Errorf("Act = %v", err)
		}
		time.Sleep(sli.Deadline)
		m.want("at its deadline", map[string]float64{"late available": 1})
	})
}

// TestServiceLevelAfterAStop: the next process counts what was not pinned, and not what was,
// though the feed tells of both.
func TestServiceLevelAfterAStop(t *testing.T) {
	for _, down := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		t.Run(down.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMeasuredRig(t, newStore(), newIPFS())
				done, hangs, noted := m.rig.own("done"), m.rig.own("hangs"), m.rig.own("noted")
				first := m.write(done.Cid, done)
				m.act(first)
				time.Sleep(3 * time.Second)
				m.want("pinned", map[string]float64{"good available": 1})
				m.ipfs.edit(func() { m.ipfs.slow = 100 * time.Hour })
				other := m.write(noted.Cid, noted)
				m.act(other)
				time.Sleep(10 * time.Second)
				second := m.write(hangs.Cid, hangs)
				m.act(second)
				time.Sleep(time.Second)
				if m.store.row(noted.Cid).Status != state.PlacementQueued || m.store.row(hangs.Cid).Status != 0 {
					t.Fatal("one was to have a row, and one not")
				}
				m.stop()
				m.cancel()
				time.Sleep(down)

				m.ipfs.edit(func() { m.ipfs.slow = 20 * time.Second })
				next := newMeasuredRig(t, m.store, m.ipfs)
				next.run()
				for _, ch := range []*state.Change{&first, &second} {
					ch.Unpassed = true
					next.act(*ch)
				}
				time.Sleep(10 * time.Second)
				if down < sli.Deadline { // that one was good was not known to this process
					next.want("at the start", map[string]float64{"good available": 1})
					time.Sleep(time.Hour)
					next.want("in time", map[string]float64{"good available": 2})
					return
				}
				next.want("at the start", map[string]float64{"late available": 2})
				time.Sleep(time.Hour)
				next.want("when they end", nil)
			})
		})
	}
}

// TestServiceLevelOfWhatIsLost: a pin that IPFS has lost is no event when it is pinned again.
func TestServiceLevelOfWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeasuredRig(t, newStore(), newIPFS())
		pin := m.rig.own("a")
		m.act(m.write(pin.Cid, pin))
		time.Sleep(time.Hour)
		m.want("pinned", map[string]float64{"good available": 1})
		m.ipfs.edit(func() { delete(m.ipfs.pins, pin.Cid) })
		if _, err := m.Recover(t.Context(), pin.Cid); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, held := m.ipfs.all()[pin.Cid]; !held {
			t.Error("it was not pinned again")
		}
		m.want("pinned again", nil)
	})
}
