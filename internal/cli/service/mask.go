package service

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// minSecret is how long a secret must be to be looked for in other texts: shorter ones are in
// ordinary words.
const minSecret = 4

// secrets hides what must not leave this machine in what people send to others. It looks for
// what stands where secrets stand, also in fields that this version does not know, and then
// for the same texts everywhere else. It rather hides too much.
type secrets struct {
	found map[string]bool
}

func newSecrets() *secrets { return &secrets{found: make(map[string]bool)} }

// clone returns the same secrets, to find more without keeping them.
func (s *secrets) clone() *secrets { return &secrets{found: maps.Clone(s.found)} }

// knownSecrets are those of a peer: of its environment, of service.json and of identity.json.
func (cmd *command) knownSecrets() *secrets {
	s := newSecrets()
	s.environment(os.Environ())
	for _, path := range []string{cmd.identityPath, cmd.configPath} {
		if raw, err := os.ReadFile(path); err == nil {
			_, _ = s.json(raw) // what is no JSON has none that is known
		}
	}
	return s
}

// environment notes the secrets in the variables of a peer, and returns the names of all of
// these.
func (s *secrets) environment(environ []string) (names []string) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "CLUSTER_") && !strings.HasPrefix(name, "IPFS_") && !strings.HasPrefix(name, "OTEL_") {
			continue
		}
		names = append(names, name)
		if isSecretName(name) {
			s.add(value)
			for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ':' }) { // user:password,…
				s.add(part)
			}
			continue
		}
		s.text(value)
	}
	slices.Sort(names)
	return names
}

// secretWords are in the names of fields and variables with secrets.
func secretWords() []string {
	return []string{"secret", "password", "passwd", "passphrase", "pepper", "token", "credential", "private", "apikey", "accesskey", "nkey", "seed", "auth", "cookie", "headers", "signature"}
}

// isSecretName tells whether what has this name is a secret. The name of a file is none.
func isSecretName(name string) bool {
	name = strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name))
	if strings.HasSuffix(name, "file") || strings.HasSuffix(name, "path") {
		return false
	}
	return strings.HasSuffix(name, "key") || strings.HasSuffix(name, "pass") || slices.ContainsFunc(secretWords(), func(word string) bool { return strings.Contains(name, word) })
}

var (
	// userInfo is all between the scheme of a URL and its last @.
	userInfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s"'<>]*)@`)
	// bareUser is user:password@ without a scheme.
	bareUser = regexp.MustCompile(`([^\s"'/:@,]+):([^\s"'@,/][^\s"'@,]*)@`)
	// parameter is a secret in the query of a URL, bearer one in a header, and assigned one
	// in a text.
	parameter = regexp.MustCompile(`(?i)([?&][^=&\s"']*(?:token|key|secret|password|sig|auth)[^=&\s"']*=)([^&\s"']+)`)
	bearer    = regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9+/=._~-]{4,})`)
	// pem is the body of a key.
	pem = regexp.MustCompile(`-----BEGIN [A-Z ]*(?:KEY|SEED|JWT)[A-Z ]*-----[^-]*`)
	// jwt, nkeySeed and opaque are what tokens and keys look like.
	jwt      = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.?[A-Za-z0-9_-]*`)
	nkeySeed = regexp.MustCompile(`\bS[UAONCX][A-Z2-7]{50,}\b`)
	opaque   = regexp.MustCompile(`^[A-Za-z0-9+/=_-]{32,}$`)
	// peerID is what looks like a key and is a name.
	peerID = regexp.MustCompile(`^(?:12D3Koo|Qm|16Uiu)[1-9A-HJ-NP-Za-km-z]{30,60}$`)
)

// json returns a JSON text with its secrets masked, at any depth.
func (s *secrets) json(raw []byte) ([]byte, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("reading it as JSON: %w", err)
	}
	text, err := json.MarshalIndent(s.value(v, false), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing it with masks: %w", err)
	}
	return append(text, '\n'), nil
}

// value masks a value. All that is in a secret one is a secret.
func (s *secrets) value(v any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[s.text(name)] = s.value(inner, secret || isSecretName(name))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = s.value(inner, secret)
		}
		return out
	case string:
		switch {
		case v == "" || strings.Contains(v, servicejson.Hidden) && secret:
			return v
		case secret, opaque.MatchString(v) && !peerID.MatchString(v):
			s.add(v)
			return servicejson.Hidden
		}
		return s.text(v)
	case float64:
		if secret {
			return servicejson.Hidden
		}
		return v
	default:
		return v // nothing, true or false
	}
}

// add notes a secret, to be hidden in all texts, also where it is escaped, or in the words of
// which it is made.
func (s *secrets) add(secret string) {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.TrimSpace(secret)}
	for _, html := range []bool{true, false} { // the log does not escape that
		var quoted strings.Builder
		encoder := json.NewEncoder(&quoted)
		encoder.SetEscapeHTML(html)
		if err := encoder.Encode(secret); err == nil {
			all = append(all, strings.TrimSuffix(strings.TrimPrefix(quoted.String(), `"`), "\"\n"))
		}
	}
	if plain, err := url.PathUnescape(secret); err == nil {
		all = append(all, plain)
	}
	for _, text := range all {
		if len(text) >= minSecret && !strings.Contains(text, servicejson.Hidden) {
			s.found[text] = true
		}
	}
}

// text masks what looks like a secret in a text.
func (s *secrets) text(text string) string {
	text = userInfo.ReplaceAllStringFunc(text, func(m string) string {
		parts := userInfo.FindStringSubmatch(m)
		s.addUser(parts[2])
		return parts[1] + servicejson.Hidden + "@"
	})
	text = bareUser.ReplaceAllStringFunc(text, func(m string) string {
		parts := bareUser.FindStringSubmatch(m)
		s.add(parts[2])
		return parts[1] + ":" + servicejson.Hidden + "@"
	})
	for _, re := range []*regexp.Regexp{parameter, bearer} {
		text = re.ReplaceAllStringFunc(text, func(m string) string {
			parts := re.FindStringSubmatch(m)
			s.add(parts[2])
			return parts[1] + servicejson.Hidden
		})
	}
	for _, re := range []*regexp.Regexp{pem, jwt, nkeySeed} {
		text = re.ReplaceAllStringFunc(text, func(m string) string {
			s.add(m)
			return servicejson.Hidden
		})
	}
	return text
}

// addUser notes what is before the @ of a URL: a password, or a token.
func (s *secrets) addUser(info string) {
	if _, password, ok := strings.Cut(info, ":"); ok {
		s.add(password)
		return
	}
	s.add(info)
}

// scrub hides in a text what looks like a secret, and all secrets that were found anywhere:
// these first, as a part of one may look like another.
func (s *secrets) scrub(text []byte) []byte {
	return []byte(s.hide(s.text(s.hide(string(text)))))
}

// hide hides the secrets that were found.
func (s *secrets) hide(text string) string {
	all := make([]string, 0, len(s.found))
	for secret := range s.found {
		all = append(all, secret)
	}
	// The longest first: one may be a part of another.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range all {
		text = strings.ReplaceAll(text, secret, servicejson.Hidden)
	}
	return text
}
