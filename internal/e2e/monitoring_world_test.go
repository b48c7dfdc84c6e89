package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

// watched is two peers and a gateway that tell their metrics, with all they need.
type watched struct {
	kubos   []*ipfs
	peers   []*peer
	door    *door
	user    string   // the key of one
	cids    []string // of blocks that both Kubos have
	used    int
	targets map[string][]string // addresses of metrics by job

	// These are there once they are started.
	own  *cqltest.Own
	live *promtest.Live
}

// toldAt is where a peer says that it tells its metrics.
var toldAt = regexp.MustCompile(`metrics and readiness are told on http://(\S+)`)

// startWatched starts two peers that hold all pins, and a gateway before them, on one server.
func startWatched(t *testing.T, server *cqltest.Server) *watched {
	t.Helper()
	w := &watched{targets: make(map[string][]string)}
	_, nats := startNATS(t)
	env := map[string]string{
		"CLUSTER_EVENTS_URLS": nats, "CLUSTER_ADMIN_DRIFTEVERY": "1m", "CLUSTER_ADMIN_CANARYEVERY": "1m",
		"CLUSTER_MONITORPINGINTERVAL": "2s", "CLUSTER_STATESYNCINTERVAL": "10s",
	}
	db := on(t, server)
	for range 2 {
		k := startKubo(t)
		p := newPeer(t, db, k, map[string]string{"CLUSTER_MONITORPINGINTERVAL": "2s", "CLUSTER_STATESYNCINTERVAL": "10s"})
		p.launch(t, p.service(t, env, "daemon"))
		w.kubos, w.peers = append(w.kubos, k), append(w.peers, p)
		w.cids = k.addBlocks(t, t.Name(), 2000)
	}
	for _, p := range w.peers {
		p.waitReady(t)
		w.targets["ipfs-cluster"] = append(w.targets["ipfs-cluster"], toldAt.FindStringSubmatch(p.daemon.text(t))[1])
	}
	at := net.JoinHostPort(ownAddress(), strconv.Itoa(9094+10*int(peersMade.Add(1))))
	w.targets["pin-gateway"] = []string{at}
	w.door = newDoor(t, onNew(t, server), map[string]string{
		"PIN_GATEWAY_METRICS_LISTEN": at, "PIN_GATEWAY_EVENTS_URLS": nats, "PIN_GATEWAY_EVENTS_CLUSTER": "ipfs-cluster",
	}, w.peers...)
	w.door.open(t)
	mustRun(t, w.door.command(t, "tenant", "create", "acme"))
	w.user = w.door.newKey(t, "acme", "alice", "user")
	return w
}

// next is a CID that nobody has pinned.
func (w *watched) next() string {
	w.used++
	return w.cids[w.used-1]
}

// load does for a while what users do: it pins, looks, lists and unpins, at the peers and
// through the gateway, and has some of them disagree.
func (w *watched) load(t *testing.T, lasts time.Duration) {
	t.Helper()
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		for i, p := range w.peers {
			cid := w.next()
			p.mustPin(t, cid, nil)
			if err := w.peers[1-i].do(http.MethodGet, "/pins/"+cid, nil); err != nil {
				t.Fatal(err)
			}
			if err := p.unpin(cid); err != nil {
				t.Fatal(err)
			}
			p.mustPin(t, w.next(), nil)
			p.mustPin(t, w.next(), url.Values{"expire-in": {"5s"}})
			if _, err := p.allocations(); err != nil {
				t.Fatal(err)
			}
		}
		w.disagree(t, w.next())
		made := w.door.pin(t, w.user, w.next(), "a name")
		w.door.must(t, w.user, "GET", "/psa/pins/"+made.RequestID, "", 200)
		w.door.must(t, w.user, "GET", "/psa/pins", "", 200)
		w.door.must(t, w.user, "DELETE", "/psa/pins/"+made.RequestID, "", 202)
		w.door.must(t, w.user, "GET", "/psa/pins/none", "", 404)
		w.door.must(t, w.user+"x", "GET", "/psa/pins", "", 401)
		w.door.pin(t, w.user, w.next(), "stays")
	}
}

// disagree has both peers change one pin at the same time.
func (w *watched) disagree(t *testing.T, cid string) {
	t.Helper()
	results := make(chan error)
	for i, p := range w.peers {
		go func() { results <- p.pin(cid, url.Values{"name": {fmt.Sprint("of ", i)}}) }()
	}
	for range w.peers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// pinsEachSecond has both peers hold one more pin each second, as long as ctx lasts.
func (w *watched) pinsEachSecond(ctx context.Context, through *peer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := through.pin(w.next(), nil); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// scrape returns what is told at an address.
func scrape(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(text), err
}

// families are the metrics that are told at some addresses, by name, each with its type.
func families(t *testing.T, addresses ...string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, address := range addresses {
		text, err := scrape(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "# TYPE "); ok {
				name, kind, _ := strings.Cut(rest, " ")
				found[name] = kind
			}
		}
	}
	if len(found) < 10 {
		t.Fatalf("there are only %d metrics", len(found))
	}
	return found
}

// monitoringRules are the files of rules on what there is here.
func monitoringRules(t *testing.T) (names []string) {
	t.Helper()
	files, err := os.ReadDir("../../monitoring/rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".yml")
		if ok && name != "scylladb" && name != "nats" {
			names = append(names, name)
		}
	}
	return names
}
