package scyllastate

import (
	"flag"
	"reflect"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/configpage"
)

//go:generate go test -run=^TestConfigurationPage$ -update

var update = flag.Bool("update", false, "write docs/configuration.md")

// TestConfigurationPage shows that docs/configuration.md is what the code says:
// the doc comments of Config, the defaults, the names of the variables. With
// -update it writes the page.
func TestConfigurationPage(t *testing.T) {
	cfg := &Config{}
	must(t, cfg.Default())
	defaults, err := cfg.ToJSON()
	must(t, err)
	must(t, configpage.Source{
		Section: jsonSection(), Written: reflect.TypeFor[configJSON](), Documented: reflect.TypeFor[Config](), File: "config.go", Defaults: defaults,
	}.Check("../docs/configuration.md", "testdata/configuration.md.tmpl", *update))
}
