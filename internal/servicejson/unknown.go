package servicejson

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/nearest"
)

// RefuseUnknown names the environment variables that begin like those of a section with
// the fields of t and set nothing: a misspelt name would otherwise leave a field at
// its default.
func (s Section) RefuseUnknown(t reflect.Type) error {
	prefix := s.EnvPrefix + "_"
	var known, unknown []string // without the prefix
	for name := range maps.Values(s.Variables(t)) {
		known = append(known, strings.TrimPrefix(name, prefix))
	}
	slices.Sort(known)
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name, ours := strings.CutPrefix(name, prefix); ours && !slices.Contains(known, name) {
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
		if near := nearest.Names(name, known); len(near) > 0 {
			advice = "did you mean " + prefix + strings.Join(near, " or "+prefix) + "?"
		}
		problems[i] = fmt.Sprintf("environment variable %s%s: there is no such setting; %s", prefix, name, advice)
	}
	return errors.New(strings.Join(problems, "; "))
}
