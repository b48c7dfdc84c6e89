package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// readCtl reads the commands of stock ipfs-cluster-ctl from its source, which
// is where go vet needs it. To ask the program itself would take a build.
func readCtl(t *testing.T) *subcommand {
	t.Helper()
	const pkg = "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl"
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatalf("looking for the source of %s: %v", pkg, err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "main.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctl := newSubcommand()
	ast.Inspect(file, func(n ast.Node) bool {
		if assign, ok := n.(*ast.AssignStmt); ok && len(assign.Lhs) == 1 {
			if field, ok := assign.Lhs[0].(*ast.SelectorExpr); ok {
				ctl.readField(t, file, field.Sel.Name, assign.Rhs[0])
			}
		}
		return true
	})
	if len(ctl.below) < 5 || len(ctl.flags) < 5 || ctl.below["pin"].below["add"] == nil {
		t.Fatalf("the source of ipfs-cluster-ctl was not understood: %+v", ctl)
	}
	return ctl
}

func newSubcommand() *subcommand {
	return &subcommand{
		flags: map[string]bool{"--help": false, "-h": false},
		below: make(map[string]*subcommand),
	}
}

// readField reads what the source says of a field of a command or of the
// program.
func (c *subcommand) readField(t *testing.T, file *ast.File, name string, value ast.Expr) {
	t.Helper()
	list, ok := value.(*ast.CompositeLit)
	if !ok {
		return
	}
	switch name {
	case "Flags":
		for _, flag := range list.Elts {
			c.readFlag(t, file, flag)
		}
	case "Commands", "Subcommands":
		for _, elt := range list.Elts {
			below := newSubcommand()
			for field, value := range fieldsOf(t, elt) {
				below.readField(t, file, field, value)
			}
			for _, name := range namesOf(t, elt) {
				c.below[name] = below
			}
		}
		c.below["help"] = &subcommand{}
		c.below["h"] = &subcommand{}
	}
}

// readFlag reads a flag, which may be made by a function of the file.
func (c *subcommand) readFlag(t *testing.T, file *ast.File, flag ast.Expr) {
	t.Helper()
	if call, ok := flag.(*ast.CallExpr); ok {
		flag = resultOf(t, file, call)
	}
	literal, ok := flag.(*ast.CompositeLit)
	if !ok {
		t.Fatalf("a flag of ipfs-cluster-ctl is a %T", flag)
	}
	kind, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		t.Fatalf("a flag of ipfs-cluster-ctl is of a %T", literal.Type)
	}
	for _, name := range namesOf(t, flag) {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		c.flags[dashes+name] = kind.Sel.Name != "BoolFlag"
	}
}

// resultOf returns what a function of the file returns, which does nothing else.
func resultOf(t *testing.T, file *ast.File, call *ast.CallExpr) ast.Expr {
	t.Helper()
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if name, isName := call.Fun.(*ast.Ident); !ok || !isName || f.Name.Name != name.Name {
			continue
		}
		if result, ok := f.Body.List[0].(*ast.ReturnStmt); ok {
			return result.Results[0]
		}
	}
	t.Fatal("a flag of ipfs-cluster-ctl is made by a function that was not understood")
	return nil
}

// fieldsOf returns the fields of a struct literal.
func fieldsOf(t *testing.T, literal ast.Expr) map[string]ast.Expr {
	t.Helper()
	list, ok := literal.(*ast.CompositeLit)
	if !ok {
		t.Fatalf("in place of a literal ipfs-cluster-ctl has a %T", literal)
	}
	fields := make(map[string]ast.Expr)
	for _, elt := range list.Elts {
		field, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			t.Fatalf("a literal of ipfs-cluster-ctl has no names of fields: %T", elt)
		}
		if name, ok := field.Key.(*ast.Ident); ok {
			fields[name.Name] = field.Value
		}
	}
	return fields
}

// namesOf returns the names in the field Name of a literal, as in "name, n".
func namesOf(t *testing.T, literal ast.Expr) []string {
	t.Helper()
	text, ok := fieldsOf(t, literal)["Name"].(*ast.BasicLit)
	if !ok {
		t.Fatal("a command or flag of ipfs-cluster-ctl has no name")
	}
	names, err := strconv.Unquote(text.Value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(names, ", ")
}
