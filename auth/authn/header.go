package authn

import (
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/jwt"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// errScheme says that credentials are of a scheme that is not ours: the request is
// answered as one without.
var errScheme = errNone

// bearer returns the token of the header Authorization (RFC 6750, section 2.1). Its scheme
// may be in capitals or not.
func bearer(values []string) (string, error) {
	if len(values) != 1 {
		return "", errSeveral
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		if scheme == "" || strings.ContainsFunc(scheme, notToken) {
			return "", principal.RefuseMalformed("the header Authorization cannot be read", nil)
		}
		return "", errScheme
	case len(token) > jwt.MaxBytes:
		return "", principal.RefuseMalformed("the token in the header Authorization is too long", nil)
	case !isToken68(token):
		return "", principal.RefuseMalformed("the header Authorization cannot be read", nil)
	}
	return token, nil
}

// isToken68 tells what a token may look like (RFC 9110, section 11.2).
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && !strings.ContainsRune("-._~+/", r)
	})
}

// notToken tells what does not stand in the name of a scheme (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// quotable returns the text as it may stand in a quoted string of a challenge (RFC 6750,
// section 3): other characters become a space.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return ' '
		}
		return r
	}, text)
}
