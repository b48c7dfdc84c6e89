package routes

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// The bounds of what Match accepts, in bytes.
const (
	MaxPath    = 1024
	MaxSegment = 512
	MaxQuery   = 16 << 10
)

var (
	// ErrNotFound is that there is no such path (404).
	ErrNotFound = errors.New("no such route")
	// ErrMalformed is that the request could mean one thing here and another behind
	// (400). It is wrapped with what is wrong.
	ErrMalformed = errors.New("malformed request")
)

// MethodError says that a path has other methods (405).
type MethodError struct {
	// Allow are the methods that it has, sorted.
	Allow []string
}

// Error implements error.
func (e *MethodError) Error() string { return "the path has only " + strings.Join(e.Allow, ", ") }

// Match returns the route of a request, with its Vars. The error is ErrNotFound,
// a *MethodError, or wraps ErrMalformed. It does not change the request.
func (t *Table) Match(r *http.Request) (Route, error) {
	if err := checkHeaders(r.Header); err != nil {
		return Route{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	segments, err := checkTarget(r.URL)
	if err != nil {
		return Route{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var allow []string
	for i, pattern := range t.parsed {
		vars, ok := match(pattern, segments)
		switch {
		case !ok:
		case t.routes[i].Method == r.Method:
			route := t.routes[i]
			route.Vars = vars
			return route, nil
		case !slices.Contains(allow, t.routes[i].Method):
			allow = append(allow, t.routes[i].Method)
		}
	}
	if len(allow) > 0 {
		slices.Sort(allow)
		return Route{}, &MethodError{allow}
	}
	return Route{}, ErrNotFound
}

// checkTarget returns the segments of a path. A path with a slash at the end has an
// empty last segment, which no route has.
func checkTarget(u *url.URL) ([]string, error) {
	switch {
	case u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil:
		return nil, errors.New("the target is not a path")
	case len(u.Path) > MaxPath:
		return nil, fmt.Errorf("the path has %d bytes, more than %d", len(u.Path), MaxPath)
	case len(u.RawQuery) > MaxQuery:
		return nil, fmt.Errorf("the query has %d bytes, more than %d", len(u.RawQuery), MaxQuery)
	case !strings.HasPrefix(u.Path, "/"):
		return nil, errors.New("the path does not begin with a slash")
	case u.RawPath != "" || strings.ContainsFunc(u.Path, notInPaths):
		return nil, errors.New("the path has an escape or a character that no route has")
	case u.Fragment != "" || u.RawFragment != "":
		return nil, errors.New("the target has a fragment")
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, errors.New("the query is not one")
	}
	segments := strings.Split(u.Path[1:], "/")
	for i, s := range segments {
		switch {
		case s == "" && i < len(segments)-1:
			return nil, errors.New("the path has two slashes in a row")
		case s != "" && strings.Trim(s, ".") == "":
			return nil, errors.New("the path has a segment of dots")
		case len(s) > MaxSegment:
			return nil, fmt.Errorf("a segment of the path has %d bytes, more than %d", len(s), MaxSegment)
		}
	}
	return segments, nil
}

// notInPaths tells characters that neither a CID, a peer's ID, a request's ID nor the
// name of a metric has.
func notInPaths(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/-._~:", c)
}

// misleading returns the headers that make some servers take the request for another.
func misleading() []string {
	return []string{
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		"X-Original-Url", "X-Rewrite-Url", "X-Original-Method",
		"Upgrade", "Http2-Settings",
	}
}

func checkHeaders(h http.Header) error {
	for _, name := range misleading() {
		if _, has := h[name]; has {
			return fmt.Errorf("the header %s is not accepted", name)
		}
	}
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(textproto.TrimString(token)) {
			case "", "close", "keep-alive", "te":
			default:
				return errors.New("the header Connection names another header")
			}
		}
	}
	return nil
}

// Outbound returns the headers of a request that go to the peer: those of a short
// list. Credentials, and whatever could be taken for something that the gateway
// says, stay here.
func Outbound(h http.Header) http.Header {
	out := make(http.Header)
	for _, name := range []string{"Accept", "Accept-Encoding", "Content-Type", "User-Agent", "Traceparent", "Tracestate"} {
		if values := h[name]; len(values) > 0 {
			out[name] = slices.Clone(values[:1])
		}
	}
	return out
}

// segment is a piece of a pattern.
type segment struct {
	literal string
	name    string   // of the variable, "" for a literal
	oneOf   []string // what the variable may be, nil for anything
	rest    bool     // the variable is all that follows
}

func parsePattern(pattern string) []segment {
	var parsed []segment
	for s := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		inside, isVar := strings.CutPrefix(s, "{")
		if !isVar {
			parsed = append(parsed, segment{literal: s})
			continue
		}
		name, what, limited := strings.Cut(strings.TrimSuffix(inside, "}"), ":")
		p := segment{name: name}
		switch {
		case what == ".*":
			p.rest = true
		case limited:
			p.oneOf = strings.Split(what, "|")
		}
		parsed = append(parsed, p)
	}
	return parsed
}

// match returns the variables of a path that a pattern fits.
func match(pattern []segment, path []string) (map[string]string, bool) {
	var vars map[string]string
	for i, p := range pattern {
		if i >= len(path) || path[i] == "" {
			return nil, false
		}
		value := path[i]
		switch {
		case p.name == "":
			if value != p.literal {
				return nil, false
			}
			continue
		case p.rest:
			if path[len(path)-1] == "" {
				return nil, false
			}
			value = strings.Join(path[i:], "/")
			path = path[:i+1]
		case p.oneOf != nil && !slices.Contains(p.oneOf, value):
			return nil, false
		}
		if vars == nil {
			vars = make(map[string]string)
		}
		vars[p.name] = value
	}
	return vars, len(path) == len(pattern)
}
