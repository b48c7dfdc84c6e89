package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Dashboard is what of a committed dashboard says what is asked and where it is shown.
type Dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Panels     []Panel
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

// Panel is a panel, or a row if its Type is "row".
type Panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

// Read reads a dashboard as Grafana loads it.
func Read(text []byte) (Dashboard, error) {
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("reading a dashboard: %w", err)
	}
	return d, nil
}

// Fill puts values in the place of the variables of a query: all processes of all jobs, and
// a duration for rates.
func Fill(expr, rate string) string {
	return strings.NewReplacer("$job", ".+", "$instance", ".+", "$__rate_interval", rate).Replace(expr)
}

// Metrics returns the names of the metrics that a query names, sorted. A histogram has the
// names of its series.
func Metrics(expr string) []string {
	expr = regexp.MustCompile(`"[^"]*"|\[[^]]*\]|\b(by|without) ?\([^)]*\)|\{[^}]*\}`).ReplaceAllString(expr, " ")
	var names []string
	for _, name := range regexp.MustCompile(`[a-z][a-z0-9]*_[a-z0-9_]+`).FindAllString(expr, -1) {
		if name != "histogram_quantile" && name != "label_values" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
