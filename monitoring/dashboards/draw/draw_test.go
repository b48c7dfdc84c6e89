package draw

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards"
)

// A drawn dashboard is an XML document that names every panel, whatever values come.
func TestDashboard(t *testing.T) {
	files, err := dashboards.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		d, err := dashboards.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(_ context.Context, expr, _ string) ([]Series, error) {
			if strings.Contains(expr, "$") {
				t.Errorf("%s has a variable left", expr)
			}
			return []Series{
				{"<a&b> with a name that is much too long for the place it has", []Point{{0, 1}, {10, math.NaN()}, {20, math.Inf(1)}, {30, 4}}},
				{"none", nil},
			}, nil
		}
		drawn, err := Dashboard(t.Context(), d, ask, "1m", 0, 30)
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(drawn)))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, p := range d.Panels {
			if !strings.Contains(string(drawn), ">"+p.Title+"<") {
				t.Errorf("%s: %q is not there", name, p.Title)
			}
		}
		if strings.Contains(string(drawn), "NaN") || strings.Contains(string(drawn), "Inf") {
			t.Errorf("%s: no number is drawn", name)
		}
		if _, err := Dashboard(t.Context(), d, func(context.Context, string, string) ([]Series, error) { return nil, errors.New("down") }, "1m", 0, 30); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFormat(t *testing.T) {
	for want, got := range map[string]string{
		"95 %": format(.95, "percentunit"), "12.3 ms": format(.0123, "s"), "5 µs": format(5e-6, "s"), "0 s": format(0, "s"), "61 s": format(61, "s"), "0.5/s": format(.5, "ops"), "1234": format(1234, "short"),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
