package jwt

import (
	"fmt"
	"strings"
)

// Path leads to a claim: the names from the outermost object inwards. A name may hold
// anything, also dots and slashes, as those of Auth0 do.
type Path []string

// ParsePath reads a path as it is configured. A text that begins with a slash is a JSON
// Pointer (RFC 6901): "/realm_access/roles". Anything else is the name of one claim as it
// is: "tenant", "https://pins.example.com/tenant".
func ParsePath(text string) (Path, error) {
	if text == "" {
		return nil, fmt.Errorf("the path of a claim is empty")
	}
	pointer, ok := strings.CutPrefix(text, "/")
	if !ok {
		return Path{text}, nil
	}
	path := Path(strings.Split(pointer, "/"))
	for i, name := range path {
		rest := strings.NewReplacer("~0", "", "~1", "").Replace(name)
		if strings.Contains(rest, "~") {
			return nil, fmt.Errorf("%.100q is not a JSON Pointer: ~ stands before 0 or 1 only", text)
		}
		path[i] = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	}
	return path, nil
}

// String returns the path as a JSON Pointer.
func (p Path) String() string {
	var b strings.Builder
	for _, name := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// find returns what is at the path, and whether anything is.
func (p Path) find(claims map[string]any) (any, bool, error) {
	var at any = claims
	for _, name := range p {
		object, ok := at.(map[string]any)
		if !ok {
			return nil, false, fmt.Errorf("claim %.100q: no object on the way", p.String())
		}
		if at, ok = object[name]; !ok {
			return nil, false, nil
		}
	}
	return at, true, nil
}

// text returns the one text at the path, empty if there is nothing.
func (p Path) text(claims map[string]any) (string, error) {
	found, ok, err := p.find(claims)
	if err != nil || !ok {
		return "", err
	}
	text, ok := found.(string)
	if !ok {
		return "", fmt.Errorf("claim %.100q is not a text", p.String())
	}
	return text, nil
}

// texts returns the texts at the path: of an array, or the one.
func (p Path) texts(claims map[string]any) ([]string, error) {
	found, ok, err := p.find(claims)
	if err != nil || !ok {
		return nil, err
	}
	texts, ok := asTexts(found)
	if !ok {
		return nil, fmt.Errorf("claim %.100q is neither a text nor texts", p.String())
	}
	return texts, nil
}

func asTexts(value any) ([]string, bool) {
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		texts := make([]string, 0, len(value))
		for _, item := range value {
			text, ok := item.(string)
			if !ok {
				return nil, false
			}
			texts = append(texts, text)
		}
		return texts, true
	}
	return nil, false
}
