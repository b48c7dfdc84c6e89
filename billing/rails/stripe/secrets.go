package stripe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 4096

// readSecret returns the one line of a file, which begins in one of the given ways. No
// error has anything of what is in it.
func readSecret(name, what string, begins ...string) (string, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", what, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: %s is not a file: name one", what, name)
	case info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("%s: everybody on this machine may use %s (mode %04o): chmod o= %s", what, name, info.Mode().Perm(), name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if len(text) > maxSecret || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: %s is not one line with a secret: write it there", what, name)
	}
	for _, begin := range begins {
		if strings.HasPrefix(secret, begin) && len(secret) > len(begin) {
			return secret, nil
		}
	}
	return "", fmt.Errorf("%s: what is in %s does not begin with %s: it is something else", what, name, strings.Join(begins, " or "))
}

// readSecrets returns those that webhooks are signed with.
func readSecrets(names []string) ([]string, error) {
	if len(names) < 1 || len(names) > 2 {
		return nil, errors.New("webhooks need one file with a secret, or two while it is changed")
	}
	var out []string
	for _, name := range names {
		secret, err := readSecret(name, "secret of webhooks", "whsec_")
		if err != nil {
			return nil, err
		}
		out = append(out, secret)
	}
	return out, nil
}
