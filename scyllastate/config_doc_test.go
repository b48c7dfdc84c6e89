package scyllastate

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestConfigurationPage shows that docs/configuration.md has a row for each
// field, with its variable and its default, and none for a field that is gone.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := &Config{}
	must(t, defaults.Default())
	names := envNames(reflect.TypeFor[configJSON](), envPrefix, "")
	for field, variable := range names {
		value := savedField(t, defaults, field)
		if value != "" {
			value = " `" + value + "`"
		}
		if row := fmt.Sprintf("\n| `%s` | `%s` |%s |", field, variable, value); !strings.Contains(string(page), row) {
			t.Errorf("the page has no row that starts with %q", row)
		}
	}
	if rows := strings.Count(string(page), "\n| `"); rows != len(names) {
		t.Errorf("the page has %d rows for %d fields", rows, len(names))
	}
}
