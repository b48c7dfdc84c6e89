// Package draw draws a dashboard from what a Prometheus answers, as an SVG for the
// documentation. It is no Grafana: it draws lines and numbers where Grafana would, and says
// on the picture what it is.
package draw

import (
	"context"
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards"
)

// Point is a value at a time, in seconds since the epoch.
type Point struct{ Time, Value float64 }

// Series is what a query finds for one set of labels. Name is its legend.
type Series struct {
	Name   string
	Points []Point
}

// Ask asks for what a query finds in the time that is drawn.
type Ask func(ctx context.Context, expr, legend string) ([]Series, error)

const (
	column, line = 50, 34 // pixels of a column and a line of the grid
	border       = 4
	footer       = 26
)

// color is that of the series with a number.
func color(i int) string {
	colors := []string{"#3274d9", "#56a64b", "#e0752d", "#b877d9", "#c4162a", "#0aa", "#8a6d00", "#6b7280"}
	return colors[i%len(colors)]
}

// Dashboard draws a dashboard. from and to bound the time that is drawn. Rates are taken over
// the duration that is given.
func Dashboard(ctx context.Context, d dashboards.Dashboard, ask Ask, rate string, from, to float64) ([]byte, error) {
	height := 0
	for _, p := range d.Panels {
		height = max(height, (p.GridPos.Y+p.GridPos.H)*line)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" role="img">`+"\n", 24*column, height+footer+40)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="26" font-size="20" fill="#111">%s</text>`+"\n",
		html.EscapeString(d.Title), html.EscapeString(d.Title))
	for _, p := range d.Panels {
		f := frame{b: &b, x: p.GridPos.X*column + border, y: p.GridPos.Y*line + 40, w: p.GridPos.W*column - 2*border, h: p.GridPos.H*line - border, from: from, to: to}
		if err := f.panel(ctx, p, ask, rate); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	fmt.Fprintf(&b, `<text x="8" y="%d" font-size="13" fill="#555">Drawn by this project's own renderer from live data of a test run, not by Grafana.</text>`+"\n</svg>\n",
		height+footer+28)
	return []byte(b.String()), nil
}

// frame is the place of a panel.
type frame struct {
	b          *strings.Builder
	x, y, w, h int
	from, to   float64
}

func (f frame) panel(ctx context.Context, p dashboards.Panel, ask Ask, rate string) error {
	if p.Type == "row" {
		fmt.Fprintf(f.b, `<text x="%d" y="%d" font-size="16" font-weight="bold" fill="#333">%s</text>`+"\n", f.x, f.y+24, html.EscapeString(p.Title))
		return nil
	}
	fmt.Fprintf(f.b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#fafafa" stroke="#ddd" rx="3"/><text x="%d" y="%d" font-size="13" fill="#222">%s</text>`+"\n",
		f.x, f.y, f.w, f.h, f.x+8, f.y+18, html.EscapeString(p.Title))
	var all []Series
	for _, target := range p.Targets {
		found, err := ask(ctx, dashboards.Fill(target.Expr, rate), target.LegendFormat)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	if p.Type == "stat" {
		f.number(all, p.FieldConfig.Defaults.Unit)
	} else {
		f.graph(all, p.FieldConfig.Defaults.Unit)
	}
	return nil
}

// number draws the newest value.
func (f frame) number(all []Series, unit string) {
	text := "no data"
	for _, s := range all {
		for _, p := range s.Points {
			if !math.IsNaN(p.Value) {
				text = format(p.Value, unit)
			}
		}
	}
	fmt.Fprintf(f.b, `<text x="%d" y="%d" font-size="30" text-anchor="middle" fill="#1f60c4">%s</text>`+"\n", f.x+f.w/2, f.y+f.h/2+20, html.EscapeString(text))
}

// graph draws a line for each series, the axis of values on the left, names below.
func (f frame) graph(all []Series, unit string) {
	const left, top, below = 64, 30, 44
	highest := 0.0
	for _, s := range all {
		for _, p := range s.Points {
			if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
				highest = max(highest, p.Value)
			}
		}
	}
	if highest == 0 {
		highest = 1
	}
	width, height := float64(f.w-left-12), float64(f.h-top-below)
	at := func(p Point) (x, y float64) {
		return float64(f.x+left) + (p.Time-f.from)/(f.to-f.from)*width, float64(f.y+top) + height*(1-p.Value/highest)
	}
	for i := range 3 {
		value := highest * float64(i) / 2
		_, y := at(Point{f.from, value})
		fmt.Fprintf(f.b, `<path d="M%d %.1fh%.1f" stroke="#e3e3e3"/><text x="%d" y="%.1f" font-size="11" text-anchor="end" fill="#555">%s</text>`+"\n",
			f.x+left, y, width, f.x+left-6, y+4, html.EscapeString(format(value, unit)))
	}
	x := f.x + 8
	for i, s := range all {
		color := color(i)
		var path strings.Builder
		command := "M"
		for _, p := range s.Points {
			if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
				command = "M"
				continue
			}
			px, py := at(p)
			fmt.Fprintf(&path, "%s%.1f %.1f", command, px, py)
			command = "L"
		}
		fmt.Fprintf(f.b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), color)
		name := shorten(s.Name)
		if x+7*len(name) > f.x+f.w-24 {
			continue // the line is there, its name has no room
		}
		fmt.Fprintf(f.b, `<text x="%d" y="%d" font-size="11" fill="%s">%s</text>`+"\n", x, f.y+f.h-12, color, html.EscapeString(name))
		x += 7*len(name) + 14
	}
	if len(all) == 0 {
		fmt.Fprintf(f.b, `<text x="%d" y="%d" font-size="13" text-anchor="middle" fill="#888">no data</text>`+"\n", f.x+f.w/2, f.y+f.h/2)
	}
}

func shorten(name string) string {
	const most = 28
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// format writes a value with its unit.
func format(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return fmt.Sprintf("%.3g %%", 100*v)
	case "percent":
		return fmt.Sprintf("%.3g %%", v)
	case "s":
		switch {
		case v != 0 && v < 0.001:
			return fmt.Sprintf("%.3g µs", v*1e6)
		case v != 0 && v < 1:
			return fmt.Sprintf("%.3g ms", v*1e3)
		}
		return fmt.Sprintf("%.3g s", v)
	case "ops":
		return fmt.Sprintf("%.3g/s", v)
	}
	return fmt.Sprintf("%.4g", v)
}
