package ipfsclusterscylla

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/ipfs-cluster/ipfs-cluster-scylla"
	upstream = "github.com/ipfs-cluster/ipfs-cluster"
)

// room says what the packages of a directory may import in files that are not
// tests. A name that ends in /... stands for a directory and all below it.
type room struct {
	name string
	// ours are the other rooms of this module that may be imported.
	ours []string
	// only are the import paths from elsewhere that may be imported, besides
	// the standard library. Nil means any.
	only []string
	// never are import paths that must not be imported.
	never []string
	why   string
}

// driver are the packages that speak CQL.
var driver = []string{"github.com/gocql/gocql/...", "github.com/scylladb/gocqlx/v2/..."}

// rooms lists every directory with packages. The first that matches counts.
var rooms = []room{
	{name: "state", only: []string{upstream + "/api", upstream + "/state", "github.com/libp2p/go-libp2p/core/peer"},
		why: "the contract knows upstream's types and nothing else"},
	{name: "state/statetest", ours: []string{"state"}, never: driver,
		why: "the suite must run on every store"},
	{name: "state/snapshot", ours: []string{}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "a format of upstream, read and nothing else"},
	{name: "scyllastate/...", ours: []string{"state", "state/snapshot", "internal/scylla", "scyllastate/..."},
		never: []string{upstream, upstream + "/cmdutils/..."},
		why:   "the store knows its contract and its database, not who uses it"},
	{name: "peer/...", ours: []string{"state", "peer/..."},
		never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why:   "a peer works over any store; upstream's root imports the components it is given"},
	{name: "migrate", ours: []string{"state", "migrate/source"}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "pins move between any two places"},
	{name: "migrate/source", ours: []string{"state", "state/snapshot"}, never: append([]string{upstream, upstream + "/cmdutils/..."}, driver...),
		why: "where pins come from knows nothing of where they go"},
	{name: "internal/scylla", never: []string{upstream + "/..."},
		why: "how to talk to the database; it knows no table and no pin"},
	{name: "internal/cqltest/scyllaface", ours: []string{}, never: append([]string{upstream + "/..."}, driver...),
		why: "a proxy knows neither what is before it nor how the server behind it was started"},
	{name: "internal/cqltest", ours: []string{"internal/cqltest/..."}, never: []string{upstream + "/..."},
		why: "a server for tests knows nothing of what is tested"},
	{name: "internal/cqltest/...", ours: []string{"internal/cqltest/child", "internal/cqltest/engine"}, never: []string{upstream + "/..."},
		why: "a server for tests knows nothing of what is tested"},
	{name: "internal/upstream", ours: []string{}, only: []string{},
		why: "it works on a copy of upstream from outside"},
	{name: "internal/compose", only: []string{}, why: "tests of files, and of programs from outside"},
	{name: "internal/consumer", only: []string{}, why: "tests of another module that uses this one"},
	{name: "internal/multipeer", only: []string{}, why: "tests of many peers in one process"},
	{name: "internal/overlay", only: []string{}, why: "it builds code with mistakes in it, whatever code that is"},
	{name: "internal/docs", only: []string{}, why: "tests of the documentation"},
	{name: "internal/e2e/...", ours: []string{"internal/cqltest", "internal/cqltest/engine"}, only: []string{},
		why: "tests of whole processes see them from outside"},
	{name: "bench", ours: []string{"state/...", "scyllastate/...", "peer/...", "migrate/...", "internal/scylla", "internal/cqltest", "internal/cqltest/child", "internal/cqltest/engine"},
		why: "a command that measures the others from outside"},
	{name: "internal/cli/...", ours: []string{"state", "scyllastate/...", "peer/...", "migrate/...", "internal/scylla", "internal/cli/..."},
		why: "the place where everything is wired, except what is for tests"},
	{name: "cmd/...", ours: []string{"internal/cli/..."}, only: []string{},
		why: "a main function of a few lines"},
	{name: ".", only: []string{}, why: "the root holds the package map and this test"},
}

// importTesting are the rooms whose packages are for tests.
var importTesting = []string{"state/statetest", "internal/cqltest", "internal/overlay"}

// cqlText are the places where CQL may stand in files that are not tests.
var cqlText = []string{"scyllastate/statements.go", "internal/scylla/...", "internal/cqltest/...", "bench/..."}

// seam is where the driver's session may be used in files that are not tests:
// whatever else has a request for the database goes through the seam, which
// limits it. session.go and clock.go list its nodes, and ask each of them one
// question that is for no other.
var (
	seam      = []string{"internal/scylla/request.go", "internal/scylla/rows.go"}
	nodes     = append([]string{"internal/scylla/session.go", "internal/scylla/clock.go", "internal/cqltest/...", "bench/..."}, seam...)
	askOne    = []string{"internal/scylla/session.go: ask", "internal/scylla/clock.go: skewTo"}
	openers   = []string{"internal/scylla/session.go", "internal/scylla/survey.go", "internal/cqltest/...", "bench/..."}
	openCalls = []string{"CreateSession", "NewSession", "NewSingleHostQueryExecutor"}
)

const maxLines = 600

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	packages := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal("go list: ", err)
		}
		for _, problem := range checkImports(p) {
			t.Error(problem)
		}
	}
	if packages < 2 {
		t.Errorf("go list names %d packages: the rules were not applied", packages)
	}
}

func TestSources(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".go" && ext != ".cql" {
			return nil
		}
		files++
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, problem := range checkSource(filepath.ToSlash(name), string(source)) {
			t.Error(problem)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 2 {
		t.Errorf("%d source files: the rules were not applied", files)
	}
}

// checkImports returns the imports of a package that its room forbids.
func checkImports(p goPackage) []string {
	name := path.Clean(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"))
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.name, name) })
	if i < 0 {
		return []string{fmt.Sprintf("package %s is in no room: add it to rooms in arch_test.go", name)}
	}
	r := rooms[i]
	var problems []string
	for _, imported := range p.Imports {
		var allowed bool
		if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
			allowed = anyMatches(r.ours, ours)
		} else {
			allowed = (isStandard(imported) || r.only == nil || anyMatches(r.only, imported)) && !anyMatches(r.never, imported)
		}
		if imported == "testing" {
			allowed = anyMatches(importTesting, name)
		}
		if !allowed {
			problems = append(problems, fmt.Sprintf("%s must not import %s: %s", name, imported, r.why))
		}
	}
	return problems
}

var (
	cqlStatement = regexp.MustCompile(`\b(SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s.+\sSET\s|DELETE\s(.+\s)?FROM\s|BEGIN\s+(UNLOGGED\s+)?BATCH|TRUNCATE\s|(CREATE|ALTER|DROP)\s+(TABLE|KEYSPACE|TYPE|ROLE|INDEX)\s)`)
	// A generated file names its generator in the first lines.
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// checkSource returns what a file does that the house forbids.
func checkSource(name, source string) []string {
	var problems []string
	complain := func(format string, args ...any) {
		problems = append(problems, name+": "+fmt.Sprintf(format, args...))
	}
	if n := strings.Count(source, "\n"); n > maxLines && !generated.MatchString(source) {
		complain("%d lines, more than %d: make two files", n, maxLines)
	}
	if path.Ext(name) == ".cql" {
		if dir := path.Base(path.Dir(name)); dir != "schema" && dir != "testdata" {
			complain("a .cql file belongs into the schema directory of the package that owns the tables")
		}
		return problems
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		complain("%v", err)
		return problems
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			complain("func init: call it from where it is needed")
		}
	}
	if strings.HasSuffix(name, "_test.go") {
		return problems
	}
	for _, problem := range pastTheSeam(name, file) {
		complain("%s: make the request through the seam (%s)", problem, strings.Join(seam, ", "))
	}
	if anyMatches(cqlText, name) {
		return problems
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && cqlStatement.MatchString(lit.Value) {
			complain("CQL outside of %s: %s", strings.Join(cqlText, ", "), lit.Value)
		}
		return true
	})
	return problems
}

// pastTheSeam returns the ways of a file to the database beside the seam. It goes
// by names.
func pastTheSeam(name string, file *ast.File) []string {
	var problems []string
	harmless := make(map[ast.Node]bool) // uses of the session
	inside := strings.HasPrefix(name, "internal/scylla/") && !anyMatches(seam, name)
	for _, decl := range file.Decls {
		function := ""
		if f, ok := decl.(*ast.FuncDecl); ok {
			function = f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if assign, ok := n.(*ast.AssignStmt); ok {
				for _, to := range assign.Lhs {
					harmless[to] = true
				}
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if sel.Sel.Name == "GetHosts" || sel.Sel.Name == "Close" {
				harmless[sel.X] = true
			}
			switch {
			case isSession(sel) && (!anyMatches(nodes, name) || inside && !harmless[sel]):
				problems = append(problems, "the driver's session is used here")
			case inside && sel.Sel.Name == "query" && !slices.Contains(askOne, name+": "+function):
				problems = append(problems, "an attempt is made here")
			case slices.Contains(openCalls, sel.Sel.Name) && !anyMatches(openers, name):
				problems = append(problems, "a session is opened here")
			}
			return true
		})
	}
	return problems
}

// isSession tells the field that holds the driver's session, not its type.
func isSession(sel *ast.SelectorExpr) bool {
	of, ok := sel.X.(*ast.Ident)
	return sel.Sel.Name == "Session" && (!ok || of.Name != "gocql")
}

func anyMatches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches tells whether name is pattern, or below it if pattern ends in /... .
func matches(pattern, name string) bool {
	dir, below := strings.CutSuffix(pattern, "/...")
	return name == dir || below && strings.HasPrefix(name, dir+"/")
}

// isStandard tells the standard library by its import paths, whose first
// element has no dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// The rules are worth something only if each can fail.
func TestImportRulesCanFail(t *testing.T) {
	for _, test := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"", "strings", true},
		{"", module + "/state", false},
		{"/state", upstream + "/api", true},
		{"/state", upstream + "/state", true},
		{"/state", upstream, false},
		{"/state", upstream + "/config", false},
		{"/state", "github.com/gocql/gocql", false},
		{"/state", module + "/scyllastate", false},
		{"/state", "testing", false},
		{"/state/statetest", "testing", true},
		{"/state/statetest", "pgregory.net/rapid", true},
		{"/state/statetest", module + "/scyllastate", false},
		{"/scyllastate", "github.com/gocql/gocql", true},
		{"/scyllastate", module + "/internal/scylla", true},
		{"/scyllastate", module + "/peer/consensus", false},
		{"/scyllastate", upstream, false},
		{"/scyllastate/schema", module + "/internal/cli/service", false},
		{"/peer/consensus", module + "/state", true},
		{"/peer/consensus", module + "/scyllastate", false},
		{"/peer/consensus", module + "/internal/scylla", false},
		{"/peer/consensus", "github.com/gocql/gocql", false},
		{"/peer/consensus", "github.com/scylladb/gocqlx/v2/table", false},
		{"/peer/consensus", upstream, false},
		{"/peer/consensus", upstream + "/cmdutils", false},
		{"/peer/consensus", upstream + "/api", true},
		{"/internal/scylla", module + "/scyllastate", false},
		{"/internal/scylla", upstream + "/api", false},
		{"/internal/cqltest", "testing", true},
		{"/internal/cqltest/engine", "testing", false},
		{"/internal/cqltest/engine", module + "/state", false},
		{"/internal/cqltest", module + "/internal/cqltest/scyllaface", true},
		{"/internal/cqltest/engine", module + "/internal/cqltest/scyllaface", false},
		{"/internal/cqltest/scyllaface", module + "/internal/cqltest/engine", false},
		{"/internal/cqltest/scyllaface", "github.com/gocql/gocql", false},
		{"/bench", module + "/internal/cqltest/scyllaface", false},
		{"/internal/e2e", module + "/scyllastate", false},
		{"/internal/cli/service", module + "/scyllastate", true},
		{"/internal/cli/service", module + "/internal/cqltest", false},
		{"/internal/cli/service", module + "/state/statetest", false},
		{"/cmd/ipfs-cluster-service", module + "/internal/cli/service", true},
		{"/cmd/ipfs-cluster-service", module + "/scyllastate", false},
		{"/cmd/ipfs-cluster-service", "github.com/urfave/cli", false},
		{"/util", "strings", false},
	} {
		problems := checkImports(goPackage{ImportPath: module + test.pkg, Imports: []string{test.imported}})
		if (len(problems) == 0) != test.ok {
			t.Errorf("%q importing %s: allowed should be %v, got %q", test.pkg, test.imported, test.ok, problems)
		}
	}
}

func TestSourceRulesCanFail(t *testing.T) {
	long := "package p\n" + strings.Repeat("\n", maxLines)
	for _, test := range []struct {
		name, source string
		ok           bool
	}{
		{"state/a.go", "package p\n", true},
		{"state/a.go", long, false},
		{"state/a_test.go", long, false},
		{"state/a.go", "// Code generated by x. DO NOT EDIT.\n" + long, true},
		{"state/a.go", "package p\nfunc init() {}\n", false},
		{"state/a.go", "package p\ntype T int\nfunc (T) init() {}\n", true},
		{"state/a.go", "not go", false},
		{"scyllastate/list.go", "package p\nconst q = `SELECT cid FROM pins`\n", false},
		{"scyllastate/list.go", "package p\nconst q = \"UPDATE pins SET pin = ?\"\n", false},
		{"scyllastate/list.go", "package p\nconst q = \"INSERT INTO pins (cid) VALUES (?)\"\n", false},
		{"peer/consensus/a.go", "package p\nconst q = \"DROP KEYSPACE x\"\n", false},
		{"scyllastate/list.go", "package p\n// SELECT cid FROM pins in a comment\nconst q = \"UPDATE failed\"\n", true},
		{"scyllastate/statements.go", "package p\nconst q = \"SELECT cid FROM pins\"\n", true},
		{"scyllastate/list_test.go", "package p\nconst q = \"SELECT cid FROM pins\"\n", true},
		{"internal/scylla/schema.go", "package p\nconst q = \"CREATE TABLE x (a int)\"\n", true},
		{"scyllastate/schema/0001_pins.cql", "CREATE TABLE pins (cid blob PRIMARY KEY)\n", true},
		{"internal/scylla/testdata/cassandra-5.0.cql", "CREATE TABLE pins (cid blob PRIMARY KEY)\n", true},
		{"scyllastate/list.go", "package p\nfunc f(db *DB) { db.Session.Query(selectPin) }\n", false},
		{"scyllastate/list.go", "package p\nfunc f(s *Store) { session := s.db.Session; session.Query(selectPin) }\n", false},
		{"scyllastate/list.go", "package p\nfunc f(db *DB) { db.Read(ctx, cons, selectPin) }\n", true},
		{"scyllastate/list_test.go", "package p\nfunc f(db *DB) { db.Session.Query(selectPin) }\n", true},
		{"internal/scylla/clock.go", "package p\nfunc f(db *DB) { db.Session.Query(selectNow) }\n", false},
		{"internal/scylla/clock.go", "package p\nfunc f(db *DB) { db.Session.GetHosts() }\n", true},
		{"internal/scylla/request.go", "package p\nfunc f(db *DB) { db.Session.Query(s.text) }\n", true},
		{"internal/scylla/session.go", "package p\nfunc f(s *gocql.Session) { db.Session = s }\n", true},
		{"internal/scylla/session.go", "package p\nfunc f(db *DB) { session := db.Session; session.Query(selectNow) }\n", false},
		{"internal/scylla/clock.go", "package p\nfunc f(db *DB) { ask(db.Session) }\n", false},
		{"internal/scylla/session.go", "package p\nfunc (db *DB) Close() { db.Session.Close() }\n", true},
		{"internal/scylla/lease.go", "package p\nfunc (l *Lease) read() { l.db.query(ctx, cons, s, limit) }\n", false},
		{"internal/scylla/session.go", "package p\nfunc (db *DB) ask() { db.query(ctx, cons, s, limit) }\n", true},
		{"internal/scylla/session.go", "package p\nfunc (db *DB) connect() { db.query(ctx, cons, s, limit) }\n", false},
		{"internal/scylla/clock.go", "package p\nfunc (db *DB) skewTo() { db.query(ctx, cons, s, limit) }\n", true},
		{"internal/scylla/rows.go", "package p\nfunc (r *Rows) fetch() { r.db.query(ctx, cons, s, limit) }\n", true},
		{"scyllastate/store.go", "package p\nfunc f(cc *gocql.ClusterConfig) { cc.CreateSession() }\n", false},
		{"scyllastate/store.go", "package p\nfunc f(cc gocql.ClusterConfig) { gocql.NewSession(cc) }\n", false},
		{"internal/scylla/schema.go", "package p\nfunc f(cc *gocql.ClusterConfig) { gocql.NewSingleHostQueryExecutor(cc) }\n", false},
		{"internal/scylla/survey.go", "package p\nfunc f(cc *gocql.ClusterConfig) { gocql.NewSingleHostQueryExecutor(cc) }\n", true},
		{"internal/cqltest/pool.go", "package p\nfunc f(cc *gocql.ClusterConfig) { cc.CreateSession() }\n", true},
		{"scyllastate/store_test.go", "package p\nfunc f(cc *gocql.ClusterConfig) { cc.CreateSession() }\n", true},
		{"peer/0001_pins.cql", "CREATE TABLE pins (cid blob PRIMARY KEY)\n", false},
	} {
		if problems := checkSource(test.name, test.source); (len(problems) == 0) != test.ok {
			t.Errorf("%s %.60q: allowed should be %v, got %q", test.name, test.source, test.ok, problems)
		}
	}
}
