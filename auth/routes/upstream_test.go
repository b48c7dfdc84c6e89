package routes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/mux"
)

// upstreamRoutes reads the routes from the source of upstream's package, in the version
// that go.mod names.
func upstreamRoutes(t testing.TB, file string) []Route {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ipfs-cluster/ipfs-cluster").Output()
	if err != nil {
		t.Fatal("go list: ", err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var routes []Route
	patterns := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		if key, ok := n.(*ast.KeyValueExpr); ok && isIdent(key.Key, "Pattern") {
			patterns++
		}
		lit, ok := n.(*ast.CompositeLit)
		if !ok || !slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
			pair, ok := e.(*ast.KeyValueExpr)
			return ok && isIdent(pair.Key, "Pattern")
		}) {
			return true
		}
		var r Route
		for _, element := range lit.Elts {
			pair := element.(*ast.KeyValueExpr) // as one of them is
			value, _ := pair.Value.(*ast.BasicLit)
			for name, field := range map[string]*string{"Name": &r.Name, "Method": &r.Method, "Pattern": &r.Pattern} {
				if isIdent(pair.Key, name) {
					if value == nil {
						t.Fatalf("the %s of a route is not a text: read upstream's source again", name)
					}
					*field, err = strconv.Unquote(value.Value)
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		routes = append(routes, r)
		return true
	})
	if len(routes) != patterns || len(routes) < 5 {
		t.Fatalf("%d routes were read and there are %d patterns", len(routes), patterns)
	}
	return routes
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// Each route of upstream is in the table, in upstream's order, and no other.
func TestUpstreamRoutesAreClassified(t *testing.T) {
	for file, table := range map[string]*Table{
		"api/rest/restapi.go":        Native(),
		"api/pinsvcapi/pinsvcapi.go": Pinning(),
	} {
		var ours []Route
		for _, r := range table.Routes() {
			ours = append(ours, Route{Name: r.Name, Method: r.Method, Pattern: r.Pattern})
		}
		theirs := upstreamRoutes(t, file)
		same := func(a, b Route) bool { return a.Name == b.Name && a.Method == b.Method && a.Pattern == b.Pattern }
		if !slices.EqualFunc(ours, theirs, same) {
			t.Errorf("%s has other routes than the table:\n%v\n%v", file, theirs, ours)
		}
	}
}

// The fields of each route fit together.
func TestRoutesAreComplete(t *testing.T) {
	for _, table := range []*Table{Native(), Pinning(), Login(), Admin(), Web()} {
		for _, r := range table.Routes() {
			decided := r.Class != Open && r.Does != Refuse
			switch {
			case !slices.Contains([]Class{Open, Read, Write, Administer}, r.Class):
				t.Errorf("%s has the class %q", r.Name, r.Class)
			case !slices.Contains([]Handling{Serve, Proxy, Refuse}, r.Does):
				t.Errorf("%s is handled by %q", r.Name, r.Does)
			case decided != (r.Action != ""):
				t.Errorf("%s has the action %q", r.Name, r.Action)
			case decided && r.Object == NoObject:
				t.Errorf("%s has no object", r.Name)
			case (r.Does == Refuse) != (r.Why != ""):
				t.Errorf("%s is refused without a reason, or has one without", r.Name)
			case r.Does == Proxy && r.Class != Administer:
				t.Errorf("%s goes to the peer, which knows no tenants, and is not for admins only", r.Name)
			case r.Class == Read && r.Method != http.MethodGet, r.Class == Write && r.Method == http.MethodGet:
				t.Errorf("%s of class %s has the method %s", r.Name, r.Class, r.Method)
			case r.Mutates() != (r.Method != http.MethodGet && r.Does != Refuse):
				t.Errorf("%s: Mutates", r.Name)
			}
		}
	}
}

// upstreamRouter is the router that upstream makes of its routes.
func upstreamRouter(t testing.TB, file string) *mux.Router {
	router := mux.NewRouter()
	for _, r := range upstreamRoutes(t, file) {
		router.Methods(r.Method).Path(r.Pattern).Name(r.Name).Handler(http.NotFoundHandler())
	}
	return router
}

// FuzzMatch sends what clients may send: what Match accepts goes, at the peer, to the
// very route that was decided about, with the same variables.
func FuzzMatch(f *testing.F) {
	for _, r := range Native().Routes() {
		path := strings.NewReplacer("{hash}", "bafy", "{peer}", "12D3", "{name}", "ping", "{keyType:ipfs|ipns|ipld}", "ipfs", "{path:.*}", "a/b").Replace(r.Pattern)
		f.Add(r.Method, path, "Connection: close")
	}
	for _, path := range []string{"//pins", "/pins/%2e%2e/peers", "/pins/../peers", "/pins/", "/pins/ipfs/recover", "/pins/a/recover", "http://x/pins", "*", "/pins?a=b;c", "/pins#x", "/pins/recover"} {
		f.Add("POST", path, "Upgrade: h2c")
		f.Add("GET", path, "X: y")
	}
	native := Native()
	router := upstreamRouter(f, "api/rest/restapi.go")
	f.Fuzz(func(t *testing.T, method, target, header string) {
		r := read(t, method+" "+target+" HTTP/1.1\r\nHost: gateway\r\n"+header+"\r\n\r\n")
		route, err := native.Match(r)
		if err != nil {
			return
		}
		// What goes to the peer is made from what was matched.
		behind := read(t, r.Method+" "+r.URL.RequestURI()+" HTTP/1.1\r\nHost: peer\r\n\r\n")
		var match mux.RouteMatch
		if !router.Match(behind, &match) || match.Route == nil || match.Route.GetName() != route.Name {
			t.Fatalf("%s %q is %s here and not at the peer", method, target, route.Name)
		}
		for name, value := range match.Vars {
			if route.Vars[name] != value {
				t.Fatalf("%s %q: %s is %q here and %q at the peer", method, target, name, route.Vars[name], value)
			}
		}
	})
}
