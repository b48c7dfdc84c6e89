package e2e

import (
	"context"
	"encoding/json"
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
		"CLUSTER_EVENTS_URLS": nats, "CLUSTER_ADMIN_DRIFTEVERY": "1m", "CLUSTER_ADMIN_CANARYEVERY": "2m",
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
// through the gateway, and has some of them disagree. What fails it tells, and no more: how
// much a database does is up to the machine.
func (w *watched) load(t *testing.T, lasts time.Duration) {
	t.Helper()
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		for i, p := range w.peers {
			cid := w.next()
			tellFailed(t, p.pin(cid, nil))
			tellFailed(t, w.peers[1-i].do(http.MethodGet, "/pins/"+cid, nil))
			tellFailed(t, p.unpin(cid))
			tellFailed(t, p.pin(w.next(), nil))
			tellFailed(t, p.pin(w.next(), url.Values{"expire-in": {"5s"}}))
			_, err := p.allocations()
			tellFailed(t, err)
		}
		w.disagree(t, w.next())
		w.knock(t)
	}
}

// knock asks the gateway for what users ask for, also for what it refuses.
func (w *watched) knock(t *testing.T) {
	t.Helper()
	id := "none"
	for _, ask := range []struct{ key, method, path, body string }{
		{w.user, "POST", "/psa/pins", fmt.Sprintf(`{"cid":%q}`, w.next())},
		{w.user, "GET", "/psa/pins/", ""},
		{w.user, "GET", "/psa/pins", ""},
		{w.user, "DELETE", "/psa/pins/", ""},
		{w.user, "GET", "/psa/pins/none", ""},
		{w.user + "x", "GET", "/psa/pins", ""},
		{w.user, "POST", "/psa/pins", fmt.Sprintf(`{"cid":%q}`, w.next())},
	} {
		if strings.HasSuffix(ask.path, "/") {
			ask.path += id
		}
		status, _, text, err := w.door.ask(ask.key, ask.method, ask.path, ask.body)
		var made pinRequest
		if err == nil && status == http.StatusAccepted && ask.method == "POST" {
			if err = json.Unmarshal([]byte(text), &made); err == nil {
				id = made.RequestID
			}
		}
		if status >= http.StatusInternalServerError {
			err = errors.Join(err, errors.New(text))
		}
		tellFailed(t, err)
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
		tellFailed(t, <-results)
	}
}

func tellFailed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Logf("a request failed: %v", err)
	}
}

// pinsOften has both peers hold five more pins each second, as long as ctx lasts.
func (w *watched) pinsOften(ctx context.Context, through *peer) error {
	tick := time.NewTicker(200 * time.Millisecond)
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
