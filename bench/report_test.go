package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sampleReport() report {
	add := row{Name: "Add", Unit: "ops/s"}
	get := row{Name: "Get (read)", Unit: "ms"}
	// The median of the ratios would be 0.9, the ratio of the medians is 0.5.
	for i, left := range []float64{90, 100, 1800} {
		add.add(0, left)
		add.add(1, []float64{100, 200, 2000}[i])
	}
	get.add(1, 2)
	get.add(0, 2.5)
	return report{
		Engine: "Apache Cassandra 5.0.9", CPUs: 2, Go: "go1.26", TookSeconds: 61.6, Quick: true,
		Tables: []table{{Title: "Operations", Note: "A note.", Left: "store", Right: "bare driver", Rows: []row{add, get}}},
	}
}

func TestPrint(t *testing.T) {
	r := sampleReport()
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `
Apache Cassandra 5.0.9, 2 processors shared by server and clients, go1.26, took 1m2s
QUICK RUN: the sizes are too small for these figures to mean anything.

Operations
A note.
            store  bare driver         ratio  half of the rounds
Add           100          200  ops/s   0.50        0.50 to 0.90
Get (read)   2.50         2.00     ms   1.25           one round
`
	if got := trimLines(out.String()); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}

// trimLines removes the margins that the table writer leaves.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimPrefix(line, "  "), " ")
	}
	return strings.Join(lines, "\n")
}

func TestSave(t *testing.T) {
	r := sampleReport()
	file := filepath.Join(t.TempDir(), "out", "latest.json")
	if err := r.save(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("saved %+v, want %+v", got, r)
	}
	for _, part := range []string{`"engine": "Apache Cassandra 5.0.9"`, `"ratio_of_medians": 0.5`, `"median": 100`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the file lacks %s:\n%s", part, text)
		}
	}
}
