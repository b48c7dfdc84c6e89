package events

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
)

// comments are what the doc comments of the package say.
type comments struct {
	types map[Type]string
	// fields are those of structs, by "PinData.Cid".
	fields map[string]string
}

func readComments(sources ...string) (comments, error) {
	c := comments{types: make(map[Type]string), fields: make(map[string]string)}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return c, fmt.Errorf("reading the doc comments: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, name := range f.Names {
							c.fields[n.Name.Name+"."+name.Name] = meaning(f.Doc, name.Name, "is ", "are ", "says ")
						}
					}
				}
			case *ast.ValueSpec:
				if len(n.Values) != 1 {
					return true
				}
				if lit, ok := n.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					c.types[Type(strings.Trim(lit.Value, `"`))] = meaning(n.Doc, n.Names[0].Name, "tells of ", "tells that ", "tells ")
				}
			}
			return true
		})
	}
	return c, nil
}

// meaning is a comment without the name in front and the first of the verbs that
// follows it.
func meaning(comment *ast.CommentGroup, name string, verbs ...string) string {
	text := strings.TrimPrefix(strings.Join(strings.Fields(comment.Text()), " "), name+" ")
	for _, verb := range verbs {
		if rest, ok := strings.CutPrefix(text, verb); ok {
			text = rest
			break
		}
	}
	return strings.ReplaceAll(strings.TrimSuffix(text, "."), "|", `\|`)
}

// TestUndocumentedField shows that the page cannot be made when the meaning of a field
// is missing, and what a comment becomes.
func TestUndocumentedField(t *testing.T) {
	c, err := readComments(`package p
const (
	// PinAccepted tells of a pin
	// or | two.
	PinAccepted Type = "a"
)
type PinData struct {
	// Cid is the CID.
	Cid string
	Version string
}`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.types["a"], `a pin or \| two`; got != want {
		t.Errorf("the comment became %q, want %q", got, want)
	}
	if got, want := c.fields["PinData.Cid"], "the CID"; got != want {
		t.Errorf("the comment became %q, want %q", got, want)
	}
	pin := reflect.TypeFor[PinData]()
	if _, err := fieldRows(c, pin, pin); err == nil || !strings.Contains(err.Error(), "PinData.Version") {
		t.Errorf("the rows of PinData: %v, want an error about PinData.Version, which has no comment", err)
	}
	if _, err := newPage(t, c); err == nil {
		t.Error("a page was made of types without comments")
	}
}
