package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards/draw"
)

const (
	// ratesOver is the duration of rates in the queries of dashboards.
	ratesOver = "30s"
	// boardSpan is the time that they are asked for, in steps of boardStep.
	boardSpan, boardStep = 2 * time.Minute, 2 * time.Second
	// drawBoards, in the environment, is where pictures of the dashboards are put.
	drawBoards = "MONITORING_DRAW"
)

// emptyPanels may find nothing while all is well, by dashboard and title.
var emptyPanels = map[string]string{
	"ipfs-cluster-overview: Drift, upper bound":             "the first sample takes until 50 minutes after the start",
	"ipfs-cluster-feed-peers: Upper bound":                  "the first sample takes until 50 minutes after the start",
	"ipfs-cluster-cql: Attempts that failed":                "a series for each error that there was",
	"ipfs-cluster-feed-peers: Expiry, 99 % late by":         "when a pin is removed that has run out is up to a loop that takes its time",
	"ipfs-cluster-cql: Connections that failed or were cut": "a series for each node to which one failed",
}

// notHere are dashboards whose servers are not here.
var notHere = map[string]string{
	"ipfs-cluster-scylladb": "there is no ScyllaDB, the names were compared with those that its monitoring asks for",
}

// dashboards asks the Prometheus for all that every panel asks for.
func (w *watched) dashboards(t *testing.T) {
	boards := readBoards(t)
	eventually(t, 3*time.Minute, "every panel finds something", func() error {
		w.load(t, 5*time.Second)
		var problems []error
		for uid, d := range boards {
			if notHere[uid] == "" {
				problems = append(problems, w.findsAll(t, d))
			}
		}
		return errors.Join(problems...)
	})
	for panel := range emptyPanels {
		uid, title, _ := strings.Cut(panel, ": ")
		if !slices.ContainsFunc(boards[uid].Panels, func(p dashboards.Panel) bool { return p.Title == title }) {
			t.Errorf("there is no panel %s", panel)
		}
	}
	for uid, reason := range notHere {
		t.Logf("%s was not asked for: %s", uid, reason)
	}
	if dir := os.Getenv(drawBoards); dir != "" {
		w.load(t, boardSpan/4)
		w.draw(t, boards, dir)
	}
}

func readBoards(t *testing.T) map[string]dashboards.Dashboard {
	t.Helper()
	files, err := filepath.Glob("../../monitoring/dashboards/json/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d dashboards: %v", len(files), err)
	}
	boards := make(map[string]dashboards.Dashboard)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := dashboards.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		boards[d.UID] = d
	}
	return boards
}

// findsAll returns which queries of a dashboard find nothing. One that Prometheus does not
// take ends the test.
func (w *watched) findsAll(t *testing.T, d dashboards.Dashboard) error {
	t.Helper()
	var problems []error
	to := time.Now()
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			lines, err := w.live.Prometheus.QueryRange(t.Context(), dashboards.Fill(q.Expr, ratesOver), to.Add(-boardSpan), to, boardStep)
			if err != nil {
				t.Fatalf("%s: %s: %v", d.UID, p.Title, err)
			}
			if !hasNumber(lines) && emptyPanels[d.UID+": "+p.Title] == "" {
				problems = append(problems, fmt.Errorf("%s: %q finds nothing: %s", d.UID, p.Title, q.Expr))
			}
		}
	}
	return errors.Join(problems...)
}

func hasNumber(lines []promtest.Line) bool {
	for _, l := range lines {
		for _, p := range points(l) {
			if !math.IsNaN(p.Value) {
				return true
			}
		}
	}
	return false
}

// points are those of a line. What is no number is NaN.
func points(l promtest.Line) (all []draw.Point) {
	for _, v := range l.Values {
		at, _ := v[0].(float64)
		text, _ := v[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			value = math.NaN()
		}
		all = append(all, draw.Point{Time: at, Value: value})
	}
	return all
}

// draw draws the dashboards of what is here.
func (w *watched) draw(t *testing.T, boards map[string]dashboards.Dashboard, dir string) {
	t.Helper()
	to := time.Now()
	from := to.Add(-boardSpan)
	ask := func(ctx context.Context, expr, legend string) ([]draw.Series, error) {
		lines, err := w.live.Prometheus.QueryRange(ctx, expr, from, to, boardStep)
		if err != nil {
			return nil, err
		}
		var all []draw.Series
		for _, l := range lines {
			all = append(all, draw.Series{Name: legendOf(legend, l.Metric), Points: points(l)})
		}
		return all, nil
	}
	for uid, d := range boards {
		if notHere[uid] != "" {
			continue
		}
		picture, err := draw.Dashboard(t.Context(), d, ask, ratesOver, float64(from.Unix()), float64(to.Unix()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "dashboard-"+strings.TrimPrefix(uid, "ipfs-cluster-")+".svg"), picture, 0o644); err != nil { //nolint:gosec // it is for everybody
			t.Fatal(err)
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// legendOf is a legend with the values of its labels.
func legendOf(legend string, labels map[string]string) string {
	return legendLabel.ReplaceAllStringFunc(legend, func(found string) string { return labels[found[2:len(found)-2]] })
}
