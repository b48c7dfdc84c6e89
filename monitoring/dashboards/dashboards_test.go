package dashboards

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the dashboards in json")

// The dashboards that Grafana loads are those of the code.
func TestCommitted(t *testing.T) {
	files, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		path := filepath.Join("json", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // it is for everybody
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code makes (%v): run go test ./monitoring/dashboards -run TestCommitted -update", path, err)
		}
	}
	there, err := filepath.Glob("json/*.json")
	if err != nil || len(there) != len(files) {
		t.Errorf("%d files for %d dashboards: %v", len(there), len(files), err)
	}
}

// A panel can be read: it has a title, a unit, and a place of its own, and its graphs have
// names. It asks for the processes that are chosen.
func TestPanels(t *testing.T) {
	files, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	uids := make(map[string]bool)
	for name, text := range files {
		d, err := Read(text)
		if err != nil {
			t.Fatal(err)
		}
		if uids[d.UID] || d.UID+".json" != name {
			t.Errorf("%s: uid %q", name, d.UID)
		}
		uids[d.UID] = true
		if len(d.Templating.List) != 3 {
			t.Errorf("%s: %d variables", name, len(d.Templating.List))
		}
		for i, p := range d.Panels {
			for _, other := range d.Panels[:i] {
				if p.overlaps(other) {
					t.Errorf("%s: %q lies over %q", name, p.Title, other.Title)
				}
			}
			if p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: panel %d: %+v", name, p.ID, p)
			}
			if p.Type == "row" {
				continue
			}
			if p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
				t.Errorf("%s: %q has no unit or no query", name, p.Title)
			}
			for _, target := range p.Targets {
				metrics := Metrics(target.Expr)
				if target.LegendFormat == "" || strings.Contains(target.Expr, "SEL") || strings.Contains(target.Expr, "RATE") || len(metrics) == 0 {
					t.Errorf("%s: %q: %+v", name, p.Title, target)
				}
				if n := strings.Count(target.Expr, `job=~"$job",instance=~"$instance"`); n < len(metrics) {
					t.Errorf("%s: %q does not ask for what is chosen: %s", name, p.Title, target.Expr)
				}
			}
		}
	}
}

func (p Panel) overlaps(o Panel) bool {
	a, b := p.GridPos, o.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func TestMetrics(t *testing.T) {
	for expr, want := range map[string][]string{
		`histogram_quantile(0.99, sum by (le, some_label) (rate(a_b_bucket{job=~"$job",x_y="c_d"}[$__rate_interval])))`: {"a_b_bucket"},
		`1 - sum(a_total{x="y_z"}) / sum(b_total)`: {"a_total", "b_total"},
		`time() - (a_b{} > 0)`:                     {"a_b"},
	} {
		if got := Metrics(expr); !slices.Equal(got, want) {
			t.Errorf("%s: %q", expr, got)
		}
	}
	if got := Fill(`rate(a_b{job=~"$job",instance=~"$instance"}[$__rate_interval])`, "10s"); got != `rate(a_b{job=~".+",instance=~".+"}[10s])` {
		t.Error(got)
	}
}
