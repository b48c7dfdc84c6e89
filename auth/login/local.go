package login

import (
	"errors"
	"net/url"
	"strings"
)

// maxReturn bounds the path to return to, in bytes.
const maxReturn = 512

// local returns an error for what is not, whoever reads it, a path of this gateway with a
// query or without: a browser takes a backslash for a slash and leaves out tabs and line
// breaks, and a program on the way may read escapes. It is strict, since our own pages are
// all that is returned to.
func local(target string) error {
	path, query, _ := strings.Cut(target, "?")
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("it does not begin with a slash")
	case len(target) > maxReturn:
		return errors.New("it is too long")
	case strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`\#"<>`, c) }):
		return errors.New("it has a character that a path does not have")
	case strings.Contains(path, "%"):
		return errors.New("its path has an escape")
	case strings.Contains(path, "//") || strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../"):
		return errors.New("its path has two slashes or a segment of dots")
	case strings.HasPrefix(path, "/auth/"):
		return errors.New("a login does not lead to another")
	}
	if _, err := url.ParseQuery(query); err != nil {
		return errors.New("its query is not one")
	}
	if u, err := url.Parse(target); err != nil || u.Path != path || u.RawQuery != query {
		return errors.New("it is not a path")
	}
	return nil
}
