package scyllastate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// TestFirstUpdates shows that each table with conditional updates has one that the
// schema is made with: on ScyllaDB the first of a table takes longer than a write
// may.
func TestFirstUpdates(t *testing.T) {
	table := regexp.MustCompile(`\b(?:UPDATE|INTO|FROM) (\w+)`)
	first := make(map[string]bool)
	for _, s := range firstUpdates() {
		text := fmt.Sprint(s)
		if !strings.Contains(text, " IF ") {
			t.Errorf("%s has no condition", text)
		}
		first[table.FindStringSubmatch(text)[1]] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "statements.go", nil, parser.SkipObjectResolution)
	must(t, err)
	conditions := 0
	ast.Inspect(file, func(n ast.Node) bool {
		text, ok := n.(*ast.BasicLit)
		if !ok || !strings.Contains(text.Value, " IF ") {
			return true
		}
		conditions++
		if m := table.FindStringSubmatch(text.Value); m == nil || !first[m[1]] {
			t.Errorf("firstUpdates has none for the table of %s", text.Value)
		}
		return true
	})
	if conditions < 10 {
		t.Errorf("statements.go has %d conditional statements: they were not found", conditions)
	}
}
