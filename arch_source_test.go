package ipfsclusterscylla

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cqlText are the places where CQL may stand in files that are not tests.
var cqlText = []string{"scyllastate/statements.go", "auth/keyspace/statements.go", "internal/cqlsection/statements.go", "auth/accounts/statements.go", "auth/pins/statements.go", "auth/audittable/statements.go", "billing/keyspace/statements.go", "billing/ledger/statements.go", "billing/invoicing/statements.go", "internal/scylla/...", "internal/cqltest/...", "bench/..."}

// seam is where the driver's session may be used in files that are not tests:
// whatever else has a request for the database goes through the seam, which
// limits it. session.go and clock.go list its nodes; they and commitlog.go ask each
// of them one question that is for no other.
var (
	seam      = []string{"internal/scylla/request.go", "internal/scylla/rows.go"}
	nodes     = append([]string{"internal/scylla/session.go", "internal/scylla/clock.go", "internal/cqltest/...", "bench/..."}, seam...)
	askOne    = []string{"internal/scylla/session.go: ask", "internal/scylla/clock.go: skewTo", "internal/scylla/commitlog.go: settingOf"}
	openers   = []string{"internal/scylla/session.go", "internal/scylla/survey.go", "internal/cqltest/...", "bench/..."}
	openCalls = []string{"CreateSession", "NewSession", "NewSingleHostQueryExecutor"}
)

const maxLines = 600

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
		{"internal/scylla/commitlog.go", "package p\nfunc (db *DB) settingOf() { db.query(ctx, cons, s, limit) }\n", true},
		{"internal/scylla/commitlog.go", "package p\nfunc (db *DB) commitLogs() { db.query(ctx, cons, s, limit) }\n", false},
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
