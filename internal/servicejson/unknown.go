package servicejson

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// RefuseUnknown names the environment variables that begin like those of a section with
// the fields of t and set nothing: a misspelt name would otherwise leave a field at
// its default.
func (s Section) RefuseUnknown(t reflect.Type) error {
	prefix := s.EnvPrefix + "_"
	known := slices.Sorted(maps.Values(s.Variables(t)))
	var unknown []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	problems := make([]string, len(unknown))
	for i, name := range unknown {
		advice := s.Page + " lists them all"
		if near := nearestNames(name, known, len(prefix)); len(near) > 0 {
			advice = "did you mean " + strings.Join(near, " or ") + "?"
		}
		problems[i] = fmt.Sprintf("environment variable %s: there is no such setting; %s", name, advice)
	}
	return errors.New(strings.Join(problems, "; "))
}

// nearestNames returns the known names that are the fewest edits away from name,
// none if those are more than two and more than a third of its length. All begin
// with the same prefix bytes, which do not count. A name that goes on where this
// one ends, as USERNAME after USER, is one edit away.
func nearestNames(name string, known []string, prefix int) []string {
	least := max(2, (len(name)-prefix)/3)
	var near []string
	for _, k := range known {
		edits := editDistance(name[prefix:], k[prefix:])
		if len(name) > prefix && strings.HasPrefix(k, name) {
			edits = 1
		}
		switch {
		case edits < least:
			least, near = edits, []string{k}
		case edits == least:
			near = append(near, k)
		}
	}
	return near
}

// editDistance is how many bytes must be inserted, removed or replaced to make b
// of a (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1) // of the distances from a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
