package scylla

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentedGrants compares the page for operators with what errors tell them:
// without the lines that are for schema: apply, and with them.
func TestDocumentedGrants(t *testing.T) {
	page, err := os.ReadFile("../../docs/database.md")
	if err != nil {
		t.Fatal(err)
	}
	var verify, apply []string
	for _, m := range regexp.MustCompile(`(?mi)^ *(GRANT \w+ ON KEYSPACE[^;\n]*;?)(.*)$`).FindAllStringSubmatch(string(page), -1) {
		apply = append(apply, m[1])
		if !strings.Contains(m[2], "schema: apply") {
			verify = append(verify, m[1])
		}
	}
	for schema, documented := range map[bool][]string{false: verify, true: apply} {
		if want := Grants("ipfs_cluster", "peer", schema); !slices.Equal(documented, want) {
			t.Errorf("with the right to change tables %t docs/database.md has\n%s\nwant\n%s", schema, strings.Join(documented, "\n"), strings.Join(want, "\n"))
		}
	}
}
