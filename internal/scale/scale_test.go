package scale

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"
)

//go:generate go test -run=^TestPage$ -update

var update = flag.Bool("update", false, "write the tables of docs/scale.md")

const page = "../../docs/scale.md"

// TestPage: the tables of docs/scale.md are what the formulas give.
func TestPage(t *testing.T) {
	committed, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(committed)
	for name, table := range map[string]string{"statements": Statements(), "sizes": SizesTable()} {
		before, rest, ok := strings.Cut(text, "<!-- "+name+": made by go generate ./internal/scale -->\n")
		_, after, ended := strings.Cut(rest, "<!-- end of "+name+" -->")
		if !ok || !ended {
			t.Fatalf("%s has no place for the table of %s", page, name)
		}
		text = before + "<!-- " + name + ": made by go generate ./internal/scale -->\n" + table + "<!-- end of " + name + " -->" + after
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != string(committed) {
		t.Errorf("the tables of %s are not what the formulas give: go generate ./internal/scale", page)
	}
}

// TestTerms: the figures follow the sizes of a cluster as they should: what depends on
// the pins or on the peers alone, and nothing faster than the peers squared.
func TestTerms(t *testing.T) {
	one := Cluster{Peers: 100, Nodes: 6, Remote: 3, Copies: 2, Pins: 1e8, Writes: 100}
	more := one
	more.Peers, more.Pins, more.Writes = 1000, 1e9, 1000
	for _, term := range append(AtRest(), Writing()...) {
		before, after := term.PerSecond(one), term.PerSecond(more)
		if before <= 0 || after < before || after > 100*before || math.IsNaN(after) {
			t.Errorf("%s: %g, and %g with ten times as many peers and pins", term.What, before, after)
		}
	}
	idle := one
	idle.Writes = 0
	if n := Sum(Writing(), idle); n != 0 {
		t.Errorf("%g statements a second are for pins that nobody writes", n)
	}
	few := Cluster{Peers: 1, Nodes: 1, Copies: 1}
	if n := Sum(AtRest(), few); n < 3 || n > 10 {
		t.Errorf("a peer alone without pins asks %g a second", n)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.047: "0.05", 3.77: "3.8", 57.2: "57", 999.6: "1,000", 23148: "23,148", 1234567: "1,234,567", 62.6e6: "6.3 × 10⁷", 4.02e9: "4.0 × 10⁹"} {
		if got := Number(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}
