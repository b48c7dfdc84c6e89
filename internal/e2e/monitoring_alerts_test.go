package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

// pageTimeout is how long one message may take to come, on a machine that is busy.
const pageTimeout = 3 * time.Minute

// alerts breaks what there is, one after the other, and wants somebody to be told of it, and of
// the end.
func (w *watched) alerts(t *testing.T) {
	w.allWell(t)
	t.Run("an IPFS daemon that stands still", w.latePins)
	t.Run("a peer that stands still", w.peerStops)
	t.Run("a database that stands still", w.databaseStops)
}

// allWell waits until no page fires.
func (w *watched) allWell(t *testing.T) {
	t.Helper()
	eventually(t, pageTimeout, "nothing is broken", func() error {
		if firing := w.live.Prometheus.Query(t, `ALERTS{severity="page",alertstate="firing"} or up == 0`); len(firing) > 0 {
			return fmt.Errorf("these fire: %v", firing)
		}
		return nil
	})
}

// latePins: while the IPFS daemon of one peer stands still, every pin is late at this peer and
// in time at the other. The first is counted when 60 s are over, and not before.
func (w *watched) latePins(t *testing.T) {
	stopped, through, told := w.kubos[0], w.peers[1], w.targets["ipfs-cluster"][0]
	var before float64
	eventually(t, pageTimeout, "late pins are told", func() (err error) {
		before, err = late(t.Context(), told)
		return err
	})
	standStill(t, stopped.daemon)
	accepting := time.Now()
	through.mustPin(t, w.next(), nil)
	accepted := time.Now()

	// More than the 15 s which the rule looks at, and the 15 s for which it must hold; and so
	// many that they are more than 5 % beside the load of the parts before, which is still in
	// what the rule takes for an hour.
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	pinning := make(chan error, 1)
	go func() { pinning <- w.pinsOften(ctx, through) }()

	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for looks := 0; ; {
		<-tick.C
		asked := time.Now()
		now, err := late(t.Context(), told)
		answered := time.Now()
		if err != nil || now == before {
			if err == nil {
				looks++
			}
			if asked.Sub(accepted) > 65*time.Second {
				t.Fatalf("a pin that hangs is not counted as late %s after its acceptance", asked.Sub(accepted))
			}
			continue
		}
		if answered.Sub(accepting) < time.Minute {
			t.Errorf("a pin that hangs is counted as late %s after its acceptance", answered.Sub(accepting))
		}
		t.Logf("a pin that hangs is counted as late %s after its acceptance, which %d looks before have not seen", answered.Sub(accepted).Round(time.Millisecond), looks)
		break
	}
	if err := <-pinning; err != nil {
		t.Fatal(err)
	}
	page := promtest.Page{Alert: "PinLatencyBreach", Component: "slo", Dashboard: "ipfs-cluster-overview", Text: "of the last hour"}
	w.live.WantPage(t, page, pageTimeout)
	share := w.live.Prometheus.Query(t, `ipfscluster:pin_late:ratio_rate5m`)
	if len(share) != 1 {
		t.Fatalf("the share of late pins is %v", share)
	}
	if value, err := strconv.ParseFloat(fmt.Sprint(share[0].Value[1]), 64); err != nil || value < 0.3 {
		t.Errorf("of the pins %v are late, %v", share[0].Value[1], err)
	}
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	page.Over, page.Text = true, "PinLatencyBreach: over"
	w.live.WantPage(t, page, pageTimeout)
	w.allWell(t)
}

// standStill stops a process, which goes on when the test ends, if not sooner.
func standStill(t *testing.T, d *daemon) {
	t.Helper()
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
}

// lateEvents is the counter of late pins whose content is there.
var lateEvents = regexp.MustCompile(`(?m)^ipfscluster_pin_slo_events_total\{content="available",result="late"\} (\S+)$`)

// late is how many late pins a peer has counted.
func late(ctx context.Context, address string) (float64, error) {
	text, err := scrape(ctx, address)
	if err != nil {
		return 0, err
	}
	found := lateEvents.FindStringSubmatch(text)
	if found == nil {
		return 0, errors.New("there is no counter of late pins")
	}
	return strconv.ParseFloat(found[1], 64)
}

// peerStops: a peer that stands still is a page.
func (w *watched) peerStops(t *testing.T) {
	stopped := w.peers[0].daemon
	standStill(t, stopped)
	page := promtest.Page{Alert: "PeerDown", Component: "peers", Dashboard: "ipfs-cluster-feed-peers", Text: w.targets["ipfs-cluster"][0]}
	w.live.WantPage(t, page, pageTimeout)
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	page.Over, page.Text = true, "PeerDown: over"
	w.live.WantPage(t, page, pageTimeout)
	w.allWell(t)
}

// databaseStops: a database that stands still is one page for all whom it does not serve, and
// nobody is told of what follows from it.
func (w *watched) databaseStops(t *testing.T) {
	before := len(w.live.Receiver.Messages())
	if err := w.own.Cluster().Freeze(0); err != nil {
		t.Fatal(err)
	}
	page := promtest.Page{Alert: "DatabaseNotServing", Component: "database", Dashboard: "ipfs-cluster-cql", Text: "DatabaseNotServing"}
	w.live.WantPage(t, page, pageTimeout)
	for _, a := range w.live.Alertmanager.WaitForAlerts(t, "PeerNotReady", 2, pageTimeout) {
		if a.Status.State != "suppressed" {
			t.Errorf("what follows from the database is %s: %v", a.Status.State, a.Labels)
		}
	}
	// Only so far: when the database is back, peers are not ready for seconds more, which is
	// longer than the shrunk time for which Alertmanager waits.
	for _, m := range w.live.Receiver.Messages()[before:] {
		if text := string(m.Body); strings.Contains(text, "PeerNotReady: ") && !strings.Contains(text, "PeerNotReady: over") {
			t.Errorf("somebody was told of what follows: %s", m.Body)
		}
	}
	if err := w.own.Cluster().Resume(0); err != nil {
		t.Fatal(err)
	}
	page.Over, page.Text = true, "DatabaseNotServing: over"
	w.live.WantPage(t, page, pageTimeout)
	w.allWell(t)
}
