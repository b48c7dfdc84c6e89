package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestModelsAreChecked compares the models with what make model has written down:
// TLC says the same of the same files, so that it need not run here.
func TestModelsAreChecked(t *testing.T) {
	modules, err := readModules(filepath.Join(root, "spec"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		if err := checkRecord(filepath.Join(root, "spec"), m); err != nil {
			t.Error(err)
		}
	}
}

// function is one of the code, or of what a model names.
type function struct{ file, name string }

var (
	definition  = regexp.MustCompile(`(?m)((?:^\\\* .*\n)*)^(\w+)(?:\([^)]*\))? ==`)
	codeLine    = regexp.MustCompile(`(?m)^\\\* code: (to come: )?(\S+\.go) (\w+)$`)
	worldLine   = regexp.MustCompile(`(?m)^\\\* world: .+$`)
	disjunction = regexp.MustCompile(`(?ms)^Next ==\n(.*?)\n\n`)
	lastName    = regexp.MustCompile(`(\w+)(?:\([^)]*\))?\s*$`)
	named       = regexp.MustCompile(`(?:Actions?|Operators?) ((?:\w+(?:, | and )?)+) of spec/(\w+)\.tla`)
)

// definitions are the operators of a model with the functions that they are of.
// wrong is what an action lacks.
func definitions(text string) (out map[string][]function, wrong []string) {
	out = make(map[string][]function)
	of := make(map[string]string) // the comment
	for _, m := range definition.FindAllStringSubmatch(text, -1) {
		out[m[2]], of[m[2]] = nil, m[1]
		for _, code := range codeLine.FindAllStringSubmatch(m[1], -1) {
			if code[1] == "" {
				out[m[2]] = append(out[m[2]], function{code[2], code[3]})
			}
		}
	}
	next := disjunction.FindStringSubmatch(text)
	if next == nil {
		return out, []string{"there is no Next"}
	}
	for line := range strings.SplitSeq(next[1], "\n") {
		name := lastName.FindStringSubmatch(line)
		if name == nil {
			wrong = append(wrong, "not understood: "+line)
			continue
		}
		if c, ok := of[name[1]]; !ok || !codeLine.MatchString(c) && !worldLine.MatchString(c) {
			wrong = append(wrong, fmt.Sprintf(`%s has neither "code: FILE FUNCTION" nor "world: WHY" above it`, name[1]))
		}
	}
	return out, wrong
}

// namedIn returns what the doc comments of a file name, "module.operator", by function.
func namedIn(name, source string) (map[string][]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]string)
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		out[f.Name.Name] = append(out[f.Name.Name], []string{}...)
		for _, m := range named.FindAllStringSubmatch(strings.Join(strings.Fields(f.Doc.Text()), " "), -1) {
			for _, operator := range strings.Split(strings.ReplaceAll(m[1], " and ", ", "), ", ") {
				out[f.Name.Name] = append(out[f.Name.Name], m[2]+"."+operator)
			}
		}
	}
	return out, nil
}

// TestModelsAndCodeNameEachOther follows the comments of the models to the code, and
// back.
func TestModelsAndCodeNameEachOther(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(root, "spec", "*.tla"))
	if err != nil || len(models) == 0 {
		t.Fatalf("models %v, %v", models, err)
	}
	wanted := make(map[function][]string)
	for _, m := range models {
		text, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		module := strings.TrimSuffix(filepath.Base(m), ".tla")
		operators, wrong := definitions(string(text))
		for _, w := range wrong {
			t.Errorf("%s: %s", m, w)
		}
		for operator, functions := range operators {
			for _, f := range functions {
				wanted[f] = append(wanted[f], module+"."+operator)
			}
		}
	}
	if len(wanted) == 0 {
		t.Error("no model names any code")
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
			return cmpDir(err)
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		functions, err := namedIn(path, string(source))
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for f, names := range functions {
			at := function{filepath.ToSlash(name), f}
			for _, n := range names {
				if !slices.Contains(wanted[at], n) {
					t.Errorf("%s: %s names %s, which does not name it", at.file, f, n)
				}
			}
			for _, n := range wanted[at] {
				if !slices.Contains(names, n) {
					t.Errorf("%s: the comment of %s does not name %s", at.file, f, n)
				}
			}
			delete(wanted, at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for f, operators := range wanted {
		t.Errorf("%v name %s of %s, which is not there", operators, f.name, f.file)
	}
}

// cmpDir skips a directory if there is no error.
func cmpDir(err error) error {
	if err == nil {
		return fs.SkipDir
	}
	return err
}

// The rules are worth something only if each can fail.
func TestNamesAreUnderstood(t *testing.T) {
	const model = "\\* One.\n\\* code: a/b.go f\n\\* code: to come: a/c.go g\nStep(x, y) ==\n  /\\ TRUE\n\n\\* world: time\nTick == TRUE\n\nBare == TRUE\n\nNext ==\n    \\/ \\E x \\in S : Step(x, 1)\n    \\/ Tick\n    \\/ Bare\n\nSpec == Next\n"
	operators, wrong := definitions(model)
	if len(operators["Step"]) != 1 || operators["Step"][0] != (function{"a/b.go", "f"}) {
		t.Errorf("Step is of %v", operators["Step"])
	}
	if len(wrong) != 1 || !strings.HasPrefix(wrong[0], "Bare has neither") {
		t.Errorf("wrong: %q", wrong)
	}
	names, err := namedIn("x.go", "package x\n\n// f does it. Actions A, B and\n// C of spec/M.tla.\nfunc f() {}\n\nfunc (t T) g() {}\n")
	if err != nil || !slices.Equal(names["f"], []string{"M.A", "M.B", "M.C"}) || len(names["g"]) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}
