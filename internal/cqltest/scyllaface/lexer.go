package scyllaface

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is what sort of token a piece of CQL is.
type kind int

const (
	word   kind = iota // a keyword or a name without quotes
	quoted             // a name in double quotes
	text               // a string in single quotes or between dollars
	number             // all that begins with a digit, durations too
	mark               // any other character
)

// token is a piece of a statement. Its depth counts the brackets around it.
type token struct {
	kind     kind
	from, to int
	depth    int
}

// lex splits a statement. White space and comments are left out.
func lex(s string) ([]token, error) {
	var tokens []token
	depth := 0
	for at := 0; at < len(s); {
		rest := s[at:]
		c := rest[0]
		t := token{from: at, depth: depth}
		switch {
		case c <= ' ':
			at++
			continue
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return tokens, nil
			}
			at += n
			continue
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return nil, fmt.Errorf("the comment at byte %d does not end", at)
			}
			at += n + 4
			continue
		case strings.HasPrefix(rest, "$$"):
			n := strings.Index(rest[2:], "$$")
			if n < 0 {
				return nil, fmt.Errorf("the string at byte %d does not end", at)
			}
			t.kind, at = text, at+n+4
		case c == '\'' || c == '"':
			n := closing(rest)
			if n < 0 {
				return nil, fmt.Errorf("the quote at byte %d does not end", at)
			}
			t.kind, at = text, at+n
			if c == '"' {
				t.kind = quoted
			}
		case isLetter(c):
			t.kind, at = word, at+span(rest)
		case isDigit(c):
			t.kind, at = number, at+span(rest)
		default:
			_, n := utf8.DecodeRuneInString(rest)
			t.kind, at = mark, at+n
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth--
				t.depth = depth
			}
		}
		t.to = at
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// closing returns the length of a quoted piece, in which a doubled quote stands
// for one, or -1.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 == len(s) || s[i+1] != s[0] {
			return i + 1
		}
		i++
	}
	return -1
}

// span returns how many bytes belong to a word or number. Bytes beyond ASCII
// do, for the unit µs.
func span(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) || s[n] >= utf8.RuneSelf) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
