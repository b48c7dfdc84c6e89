package pins

import (
	"slices"
	"strings"

	"golang.org/x/text/cases"
)

// matcher returns what tells whether a request matches by status, name and meta. It is for
// one goroutine.
func (q *Query) matcher() func(*row) bool {
	name := q.nameMatcher()
	return func(r *row) bool {
		if len(q.Statuses) > 0 && !slices.Contains(q.Statuses, r.Status) {
			return false
		}
		for k, v := range q.Meta {
			if got, ok := r.Meta[k]; !ok || got != v {
				return false
			}
		}
		return q.Name == "" || name(r.Name)
	}
}

func (q *Query) nameMatcher() func(string) bool {
	fold := cases.Fold()
	switch folded := fold.String(q.Name); q.Match {
	case IExact:
		return func(name string) bool { return fold.String(name) == folded }
	case IPartial:
		return func(name string) bool { return strings.Contains(fold.String(name), folded) }
	case Partial:
		return func(name string) bool { return strings.Contains(name, q.Name) }
	default:
		return func(name string) bool { return name == q.Name }
	}
}
