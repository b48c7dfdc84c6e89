package api

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:generate go test -run=^TestDocument$ -update

var update = flag.Bool("update", false, "write docs/billing-api.openapi.json")

const copied = "../../docs/billing-api.openapi.json"

// TestDocument: the document is one of OpenAPI 3.1, has all routes and no others, and docs has a copy
// of it. With -update it writes the copy.
func TestDocument(t *testing.T) {
	if *update {
		if err := os.WriteFile(copied, openapi, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(copied)
	if err != nil || !bytes.Equal(text, openapi) {
		t.Errorf("%s is not up to date: go generate ./billing/api; %v", copied, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableSchemaPatternValidation(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
	var told, routed []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			told = append(told, method+" "+path+" "+op.OperationID)
		}
	}
	for _, r := range (&API{}).routes() {
		routed = append(routed, r.method+" "+r.path+" "+r.name)
		op := doc.Paths.Value(r.path).GetOperation(r.method)
		if r.open != (op.Responses.Value("401") == nil) || r.operators != (op.Responses.Value("403") != nil) {
			t.Errorf("%s: who may ask is not told", r.name)
		}
		if owner := op.Parameters.GetByInAndName("header", "Billing-Owner") != nil; owner == (r.open || r.operators) {
			t.Errorf("%s: that an owner is named is told as %t", r.name, owner)
		}
	}
	slices.Sort(told)
	slices.Sort(routed)
	if !slices.Equal(told, routed) {
		t.Errorf("the document tells of\n%s\nand the routes are\n%s", strings.Join(told, "\n"), strings.Join(routed, "\n"))
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("cGlucwAx")
	f.Add(cursorOf("pins", "1", "x"))
	f.Fuzz(func(t *testing.T, text string) {
		c := &call{query: map[string][]string{"cursor": {text}}}
		place, err := c.cursor("pins", 2)
		if err == nil && place != nil && cursorOf("pins", place...) != text {
			t.Errorf("%q is read as %q", text, place)
		}
	})
}
