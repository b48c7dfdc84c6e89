package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards"
)

// TestMonitoring: a real Prometheus watches real peers and a gateway on a database of their
// own with the rules of monitoring, whose durations alone are shorter. What they tell is
// documented, every panel of every dashboard finds it, and what is broken somebody is told.
func TestMonitoring(t *testing.T) {
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-monitoring): it starts Prometheus and waits for alerts; TestMonitoringNames has the names")
	}
	promtest.Find(t) // before anything is started
	own := cqltest.StartOwn(t, engine.Options{})
	w := startWatched(t, &own.Server)
	w.own = own
	w.live = promtest.StartLive(t, "../../monitoring", monitoringRules(t), w.targets)
	t.Run("metrics", w.documented)
	t.Run("dashboards", w.dashboards)
	t.Run("alerts", w.alerts)
	for _, p := range w.peers {
		p.stop(t)
	}
	w.door.close(t)
}

// TestMonitoringNames is the slice of TestMonitoring that needs no Prometheus: what a peer
// and a gateway tell is documented, and what rules and dashboards ask for they tell.
func TestMonitoringNames(t *testing.T) {
	t.Parallel()
	w := startWatched(t, cqltest.Start(t))
	w.load(t, time.Second)
	w.documented(t)

	told := families(t, w.told()...)
	for _, name := range asked(t) {
		family := name
		if _, ok := told[family]; !ok {
			family = partOfHistogram.ReplaceAllString(name, "")
		}
		if _, ok := told[family]; !ok && notTold[family] == "" {
			t.Errorf("%s is asked for by a rule or a dashboard, and told by nobody", name)
		}
	}
}

// notTold are metrics that are asked for and that neither a peer nor a gateway has.
var notTold = map[string]string{
	"ipfscluster_events_dead_letters_total": "of programs that receive events by this project's library",
}

// told are the addresses of all metrics.
func (w *watched) told() (addresses []string) {
	for _, of := range w.targets {
		addresses = append(addresses, of...)
	}
	return addresses
}

// partOfHistogram is what a histogram has at the end of the names of its series.
var partOfHistogram = regexp.MustCompile(`_(bucket|sum|count)$`)

type documentedMetrics struct {
	pattern *regexp.Regexp
	where   string
}

// documentedElsewhere are metrics that are not ours to document.
var documentedElsewhere = []documentedMetrics{
	{regexp.MustCompile(`^(go|process)_`), "of client_golang, the same in every program in Go"},
	{regexp.MustCompile(`^(libp2p|rcmgr)_`), "of go-libp2p"},
	{regexp.MustCompile(`^ipfscluster_(pins_(ipfs_|pin_|pinning)|blocks_)`), "of upstream: docs/metrics.md names them together"},
}

// documented wants what is told to be on the pages: what both tell is on that of the peer.
func (w *watched) documented(t *testing.T) {
	pages := ""
	for _, page := range []string{"metrics.md", "gateway-metrics.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		pages += string(text)
	}
	n := 0
	for name := range families(t, w.told()...) {
		if slices.ContainsFunc(documentedElsewhere, func(e documentedMetrics) bool { return e.pattern.MatchString(name) }) {
			continue
		}
		n++
		if !strings.Contains(pages, "`"+name+"`") {
			t.Errorf("no page has %s", name)
		}
	}
	t.Logf("%d metrics are compared with the documentation", n)
}

// ours are names of series of our programs. Those of recording rules have a colon.
var ours = regexp.MustCompile(`(?:^|[^:\w])((?:ipfscluster|cql_client|pin_gateway)_\w+)(?:$|[^:\w])`)

// asked are the series of our programs that rules and dashboards name.
func asked(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"rules/*.yml", "dashboards/json/*.json"} {
		files, err := filepath.Glob("../../monitoring/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, namesIn(t, file, text)...)
		}
	}
	if len(names) < 50 {
		t.Fatalf("only %q", names)
	}
	return names
}

// namesIn are those in the queries of a dashboard, or in the lines of a file of rules that are not a comment.
func namesIn(t *testing.T, file string, text []byte) (names []string) {
	t.Helper()
	if strings.HasSuffix(file, ".json") {
		d, err := dashboards.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				for _, name := range dashboards.Metrics(q.Expr) {
					if ours.MatchString(name) {
						names = append(names, name)
					}
				}
			}
		}
		return names
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "description:") || strings.Contains(line, "summary:") || strings.HasPrefix(line, "#") {
			continue
		}
		for _, found := range ours.FindAllStringSubmatch(line, -1) {
			names = append(names, found[1])
		}
	}
	return names
}
