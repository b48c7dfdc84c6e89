package scyllastate

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// notingTables have no pins and note at which consistency they are read.
type notingTables struct {
	tables
	at *[]gocql.Consistency
}

func (n notingTables) readPin(_ context.Context, _ api.Cid, cons gocql.Consistency) (row, error) {
	*n.at = append(*n.at, cons)
	return row{}, nil
}

// TestLocalReadsOfPins: with local-reads Get reads at LOCAL_QUORUM, and GetVersion, by which
// peers decide what to do and say what they do, at QUORUM all the same.
func TestLocalReadsOfPins(t *testing.T) {
	absent, err := lru.New[string, time.Time](1)
	must(t, err)
	var at []gocql.Consistency
	s := &Store{tables: notingTables{at: &at}, now: time.Now, absent: absent, read: gocql.LocalQuorum}
	c := statetest.Cid("a")
	if _, err := s.Get(t.Context(), c); !errors.Is(err, state.ErrNotFound) {
		t.Fatal(err)
	}
	if _, _, err := s.GetVersion(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if want := []gocql.Consistency{gocql.LocalQuorum, gocql.Quorum}; !slices.Equal(at, want) {
		t.Errorf("Get and GetVersion read at %v, want %v", at, want)
	}
}

// TestLocalReadsAreFew: what may read at LOCAL_QUORUM with local-reads is known by name,
// and nothing reads at less. All else, placements too, is read at QUORUM or SERIAL.
func TestLocalReadsAreFew(t *testing.T) {
	uses := make(map[string]bool) // functions that use Store.read, or name LOCAL_QUORUM
	named := make(map[string]bool)
	files, err := os.ReadDir(".")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		must(t, err)
		for _, d := range file.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				where := f.Name()
				if fn, ok := d.(*ast.FuncDecl); ok {
					where = fn.Name.Name
				}
				switch of, _ := sel.X.(*ast.Ident); {
				case of == nil:
				case of.Name == "s" && sel.Sel.Name == "read": // a Store in this package
					uses[where] = true
				case of.Name == "gocql" && isConsistency(sel.Sel.Name):
					named[sel.Sel.Name] = true
					if sel.Sel.Name == "LocalQuorum" {
						uses[where] = true
					}
				}
				return true
			})
		}
	}
	if got, want := slices.Sorted(maps.Keys(uses)), []string{"Count", "Get", "Has", "Keys", "List", "Marshal", "open"}; !slices.Equal(got, want) {
		t.Errorf("%q may read at LOCAL_QUORUM, want %q", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(named)), []string{"LocalQuorum", "Quorum", "Serial"}; !slices.Equal(got, want) {
		t.Errorf("requests are made at %q, want %q", got, want)
	}
}

// isConsistency tells whether the driver has a consistency of that name.
func isConsistency(name string) bool {
	return slices.Contains([]string{
		"Any", "One", "Two", "Three", "Quorum", "All", "LocalQuorum", "EachQuorum", "LocalOne", "Serial", "LocalSerial",
	}, name)
}
