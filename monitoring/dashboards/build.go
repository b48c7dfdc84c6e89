package dashboards

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

const (
	numberWidth, numberHeight = 4, 5
	graphWidth, graphHeight   = 8, 8
	// tag is what all dashboards are found by.
	tag = "ipfs-cluster-scylla"
)

// JSON returns the dashboards as Grafana loads them, by the names of their files.
func JSON() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, b := range boards() {
		built, err := b.build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %q: %w", b.title, err)
		}
		text, err := json.MarshalIndent(built, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("dashboard %q: %w", b.title, err)
		}
		files[b.uid+".json"] = append(text, '\n')
	}
	return files, nil
}

func boards() []board {
	return []board{overview(), store(), peers(), client(), events(), gateway(), scylladb()}
}

// build turns a board into what Grafana knows: the first schema, which every version of
// Grafana loads from a file. That of dashboardv2 is read by new ones only.
func (b board) build() (dashboard.Dashboard, error) { //nolint:staticcheck // see above
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.about).Tags([]string{tag}). //nolint:staticcheck // the same
														Time("now-6h", "now").Refresh("30s").Timezone("browser").Tooltip(dashboard.DashboardCursorSyncCrosshair).
														WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
														WithVariable(labelVariable("job", "Job", "label_values("+b.job+", job)")).
														WithVariable(labelVariable("instance", "Instance", "label_values("+b.job+`{job=~"$job"}, instance)`)).
														Link(dashboard.NewDashboardLinkBuilder("Other dashboards").Type(dashboard.DashboardLinkTypeDashboards).
															Tags([]string{tag}).AsDropdown(true).KeepTime(true))
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			d.WithPanel(p.builder())
		}
	}
	return d.Build()
}

func labelVariable(name, label, values string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source()).
		Query(dashboard.StringOrMap{String: &values}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{String: cog.ToPtr("All")},
			Value: dashboard.StringOrArrayOfString{String: cog.ToPtr("$__all")},
		})
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

func (p panel) builder() cog.Builder[dashboard.Panel] {
	if p.kind == number {
		return stat.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).Unit(p.unit).
			Span(numberWidth).Height(numberHeight).Thresholds(p.thresholds()).Targets(p.targets()).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	}
	g := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).Unit(p.unit).
		Span(graphWidth).Height(graphHeight).Targets(p.targets()).Min(0).FillOpacity(10).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).Placement(common.LegendPlacementBottom).
			DisplayMode(common.LegendDisplayModeList)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.kind == stacked {
		g.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	if len(p.steps) > 0 {
		g.Thresholds(p.thresholds()).
			ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	return g
}

func (p panel) targets() []cog.Builder[variants.Dataquery] {
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		t := prometheus.NewDataqueryBuilder().Expr(q.text()).LegendFormat(q.legend).RefId(string(rune('A' + i)))
		if p.kind == number {
			t.Instant()
		}
		targets = append(targets, t)
	}
	return targets
}

func (q query) text() string {
	return strings.NewReplacer("SEL", `job=~"$job",instance=~"$instance"`, "RATE", "$__rate_interval").Replace(q.expr)
}

func (p panel) thresholds() *dashboard.ThresholdsConfigBuilder {
	colors := []string{"green", "orange", "red"}
	if p.below {
		colors = []string{"red", "orange", "green"}
	}
	if len(p.steps) == 1 {
		colors = []string{colors[0], colors[2]}
	}
	steps := []dashboard.Threshold{{Color: colors[0]}}
	for i, value := range p.steps {
		steps = append(steps, dashboard.Threshold{Value: &value, Color: colors[i+1]})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}
