package section

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// validateURLs checks the URLs of a field. example is one as it should be, and its scheme
// the first of those that are allowed. Only paths may follow the port, if any. Errors
// show no password.
func validateURLs(field string, urls []string, example string, schemes []string, path bool) error {
	for _, text := range urls {
		if problem := urlProblem(text, schemes, path); problem != "" {
			return badField(field, "%q %s, as in %q", maskURL(text), problem, example)
		}
	}
	return nil
}

// urlProblem says what is wrong with a URL and what to do, empty if nothing is.
func urlProblem(text string, schemes []string, path bool) string {
	wanted := strings.Join(schemes, ":// or ") + "://"
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "is not a URL: begin it with " + wanted
	}
	// The client takes a comma for the end of a URL.
	if strings.ContainsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "has a comma, a space or a control character in it: write each URL by itself, and %2C and %20 in a password"
	}
	u, err := url.Parse(text)
	if err != nil {
		advice := "is not a URL: correct it"
		if strings.Contains(rest, "@") {
			advice += ", and escape what is special in a password (%40 is @, %3A is :, %2F is /)"
		}
		return advice
	}
	switch port, err := strconv.Atoi(u.Port()); {
	case !slices.Contains(schemes, u.Scheme):
		return "has an unknown scheme: use " + wanted
	case u.Hostname() == "":
		return "names no server: write a host"
	case strings.HasSuffix(u.Host, ":"), u.Port() != "" && (err != nil || port < 1 || port > 65535):
		return "has no usable port: use 1 to 65535"
	case u.User != nil && u.User.String() == "":
		return "has an empty user: remove the @"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "has something behind the server that is not used: remove it"
	case !path && u.Path != "" && u.Path != "/":
		return "has a path, which is not used: remove it"
	}
	return ""
}

// maskURL hides the password or the token before the host. It takes any text, and
// hides rather too much of what is no URL.
func maskURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if ok {
		scheme += "://"
	} else {
		scheme, rest = "", text
	}
	end := strings.LastIndex(rest, "@")
	if end < 0 {
		return text
	}
	user, _, ok := strings.Cut(rest[:end], ":")
	if !ok { // a token
		return fmt.Sprintf("%s%s%s", scheme, servicejson.Hidden, rest[end:])
	}
	return fmt.Sprintf("%s%s:%s%s", scheme, user, servicejson.Hidden, rest[end:])
}

// hasUser tells whether a valid URL says who connects.
func hasUser(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.User != nil
}
