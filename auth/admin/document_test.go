package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

//go:generate go test -run=^TestDocument$ -update

var update = flag.Bool("update", false, "write docs/gateway-admin.openapi.json")

const copied = "../../docs/gateway-admin.openapi.json"

// TestDocument: the document is one of OpenAPI 3.1, has all routes and no others, and docs
// has a copy of it. With -update it writes the copy.
func TestDocument(t *testing.T) {
	if *update {
		must(t, os.WriteFile(copied, openapi, 0o644))
	}
	text, err := os.ReadFile(copied)
	must(t, err)
	if !bytes.Equal(text, openapi) {
		t.Errorf("%s is not up to date: go generate ./auth/admin", copied)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	must(t, err)
	must(t, doc.Validate(t.Context(), openapi3.EnableSchemaPatternValidation(), openapi3.IsOpenAPI31OrLater()))
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("it is of OpenAPI %s", doc.OpenAPI)
	}
	var told []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			told = append(told, method+" "+path+" "+op.OperationID)
		}
	}
	var routed []string
	for _, r := range routes.Admin().Routes() {
		routed = append(routed, r.Method+" "+r.Pattern+" "+r.Name)
		checkOperation(t, doc.Paths.Value(r.Pattern).GetOperation(r.Method), r)
	}
	slices.Sort(told)
	slices.Sort(routed)
	if !slices.Equal(told, routed) {
		t.Errorf("the document tells of\n%s\nand the routes are\n%s", strings.Join(told, "\n"), strings.Join(routed, "\n"))
	}
}

// checkOperation: what a route needs is told, and what may go wrong.
func checkOperation(t *testing.T, op *openapi3.Operation, r routes.Route) {
	t.Helper()
	if op == nil {
		t.Errorf("%s is not in the document", r.Name)
		return
	}
	if open := op.Security != nil && len(*op.Security) == 0; open != (r.Class == routes.Open) {
		t.Errorf("%s: that it is open is told as %t", r.Name, open)
	}
	if r.Action != "" && !strings.Contains(op.Description, "`"+r.Action+"`") {
		t.Errorf("%s: its scope %s is not told", r.Name, r.Action)
	}
	want := []string{"400"}
	if r.Class != routes.Open {
		want = append(want, "401", "403", "429", "500", "503")
	}
	if strings.Contains(r.Pattern, "{") {
		want = append(want, "404")
	}
	if op.RequestBody != nil {
		want = append(want, "413", "415")
	}
	for _, status := range want {
		if op.Responses.Value(status) == nil {
			t.Errorf("%s: the error %s is not told", r.Name, status)
		}
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	answer := w.ask("", "GET", "/admin/openapi.json", nil).is(200, new(map[string]any))
	if !bytes.Equal(answer.Body.Bytes(), openapi) || !json.Valid(answer.Body.Bytes()) || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v %.100s", answer.Header(), answer.Body)
	}
}
