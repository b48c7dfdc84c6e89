package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// runbookPage explains lines of the log, in the first column of its table.
const runbookPage = "docs/troubleshooting.md"

// explained are the directories whose warnings and errors the runbook has.
var explained = []string{"auth", "events", "internal/scylla", "peer", "scyllastate"}

// composed are parts of entries that the code puts together from several texts.
var composed = []string{
	"the database could not look up the role: too few of its nodes answer",
	"lacks the right",
	"ahead of / behind the database's",
	"the clocks of the data centres",
	"the clocks of the nodes of data centre",
	"of the database warns",
	"the stored pin of",
	"passing over a change: the stored pin of",
	"is corrupt",
}

// plainLines are warnings and errors that say all there is to say, by a part of
// their text.
var plainLines = []string{
	"announcing that peer",
	"claiming the keyspace",
	"dropping a metric that is not valid",
	"handing over:",
	"is dropped:", // an alert
	"listing pins:",
	"listing the pins for their status:",
	"measuring the clock against the database:",
	"others do not learn where this peer listens:",
	"passing over a change:",
	"stay in the table buckets",
	"taking the cursor of feed",
	"taking the identity of peer",
	"taking the lease",
	"the first conditional update of a table",
	"these metrics have no room in the heartbeat",
}

// TestRunbook: the runbook explains lines that the code writes, as it writes them, and
// every warning and error has an entry.
func TestRunbook(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, runbookPage))
	if err != nil {
		t.Fatal(err)
	}
	texts, logged := readTexts(t)
	var entries [][]string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(cells[1], -1) {
			parts := fixedParts(strings.Trim(code, "`"))
			entries = append(entries, parts)
			for _, part := range parts {
				if !strings.Contains(texts, part) && !slices.Contains(composed, part) {
					t.Errorf("%s explains %s, and no text of the code has %q", runbookPage, code, part)
				}
			}
		}
	}
	if len(entries) < 50 || len(logged) < 50 {
		t.Fatalf("%d entries and %d lines: they were not found", len(entries), len(logged))
	}
	for _, text := range logged {
		if len(fixedParts(text)) > 0 && !slices.ContainsFunc(entries, func(parts []string) bool { return len(parts) > 0 && hasAll(text, parts) }) &&
			!slices.ContainsFunc(plainLines, func(part string) bool { return strings.Contains(text, part) }) {
			t.Errorf("%s does not explain %q", runbookPage, text)
		}
	}
}

// changing is what stands for something else each time: in the code verbs, in the
// runbook dots, capital letters and numbers for a number, and letters for a name.
var changing = regexp.MustCompile(`%[#+]?[.\d]*[a-z]|…|\b[NM]\b|\b\d\w*\b|"[xy]"`)

// fixedParts are the parts of a text that are the same each time, but for short ones.
func fixedParts(text string) []string {
	var parts []string
	for _, part := range changing.Split(text, -1) {
		if part = strings.Trim(part, " :;,.()"); len(part) >= 8 {
			parts = append(parts, part)
		}
	}
	return parts
}

func hasAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// readTexts returns the strings of the code in lines, joined where they are added up,
// and those that the explained directories log as warnings and errors.
func readTexts(t *testing.T) (texts string, logged []string) {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		told := slices.ContainsFunc(explained, func(e string) bool { return dir == e || strings.HasPrefix(dir, e+"/") })
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text := joined(e); text != "" {
					all.WriteString(text + "\n")
				}
			}
			if call, ok := n.(*ast.CallExpr); ok && told && warns(call.Fun) && len(call.Args) > 0 {
				logged = append(logged, joined(call.Args[0]))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String(), logged
}

// joined returns the text of a constant string, what else is added to it left out.
func joined(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return joined(e.X) + joined(e.Y)
		}
	}
	return ""
}

// warns tells whether a function is one of the logger for warnings and errors, or the
// choice of one that state.Failure makes.
func warns(fun ast.Expr) bool {
	switch fun := fun.(type) {
	case *ast.SelectorExpr:
		logger, ok := fun.X.(*ast.Ident)
		return ok && logger.Name == "logger" && slices.Contains([]string{"Warn", "Warnf", "Error", "Errorf"}, fun.Sel.Name)
	case *ast.CallExpr:
		return slices.ContainsFunc(fun.Args, warns)
	}
	return false
}
