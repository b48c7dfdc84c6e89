package config

import (
	"flag"
	"reflect"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/configpage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqlsection"
)

//go:generate go test -run=^TestPage$ -update

var update = flag.Bool("update", false, "write docs/billing-configuration.md")

// TestPage shows that the page of documentation is what the code says. With -update it
// writes the page.
func TestPage(t *testing.T) {
	defaults, err := Default().JSON()
	must(t, err)
	must(t, configpage.Source{
		Written: reflect.TypeFor[Config](), Documented: reflect.TypeFor[Config](), File: "config.go",
		Files:     map[string]string{reflect.TypeFor[cqlsection.Config]().PkgPath(): "../../internal/cqlsection/config.go"},
		Variables: Program().Variables(new(Config)), Defaults: defaults,
	}.Check("../../docs/billing-configuration.md", "testdata/billing-configuration.md.tmpl", *update))
}
