package jwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// Header returns what the header of a token in compact serialization says. Nobody has
// signed it yet: it is good for telling which verifier to ask, and for nothing else. A
// header that says something twice is an error.
func Header(token string) (map[string]any, error) {
	if len(token) > MaxBytes {
		return nil, fmt.Errorf("token is longer than %d bytes", MaxBytes)
	}
	if strings.ContainsFunc(token, foreign) {
		return nil, errors.New("header, claims or signature are not base64url")
	}
	if strings.Count(token, ".") != 2 {
		return nil, errors.New("token does not have three parts")
	}
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	header := make(map[string]any)
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return header, nil
}

// foreign tells what does not stand in a token. Decoders skip line breaks.
func foreign(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}
