package cqltest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// conditionAtLeast is how many conditional statements there are in the rooms of any program.
const conditionAtLeast = 3

var tableOf = regexp.MustCompile(`(?:INTO|UPDATE|FROM) (\w+)`)

// CheckFirst fails a test unless each table that has a conditional update among the constants
// of the Go files of a pattern has one in first, which holds statements that are printed with
// their text.
func CheckFirst[S any](tb testing.TB, first []S, pattern string) {
	tb.Helper()
	tables := make(map[string]bool)
	for _, s := range first {
		text := fmt.Sprint(s)
		if !strings.Contains(text, " IF ") {
			tb.Errorf("%s has no condition", text)
		}
		tables[tableOf.FindStringSubmatch(text)[1]] = true
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	conditions := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		texts, err := conditional(name)
		if err != nil {
			tb.Fatal(err)
		}
		for _, text := range texts {
			conditions++
			if !tables[tableOf.FindStringSubmatch(text)[1]] {
				tb.Errorf("there is no first update for the table of %s", text)
			}
		}
	}
	if conditions < conditionAtLeast {
		tb.Errorf("%d conditional statements were found in %s", conditions, pattern)
	}
}

// conditional returns the constants of a file that are conditional updates.
func conditional(name string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		var text string // of all literals of a constant
		ast.Inspect(spec, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text += literal.Value
			}
			return true
		})
		if tableOf.MatchString(text) && strings.Contains(text, " IF ") {
			all = append(all, text)
		}
		return true
	})
	return all, nil
}
