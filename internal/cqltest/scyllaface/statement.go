package scyllaface

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
)

// refusal is the answer to a statement that Cassandra shall not see.
type refusal = message.Error

// statement is what the face knows of a statement.
type statement struct {
	text        string // as the client wrote it
	cassandra   string // as Cassandra gets it
	conditional bool   // it has an IF
	table       string // the system table that it reads, or ""
	superuser   bool   // and other roles must not
	// keyspace is the one that CREATE KEYSPACE makes, or of which a SELECT from
	// scylla_keyspaces asks unless it is a bound value.
	keyspace string
	// vnodes says that the tables of that keyspace shall not use tablets.
	vnodes bool
}

// grammar translates statements of a ScyllaDB.
type grammar struct {
	version  string // of the ScyllaDB that is shown
	features string // the list in system.local
}

// translate returns the statement for Cassandra. keyspace is the one that the
// connection uses, or "".
func (g grammar) translate(cql, keyspace string) (*statement, refusal) {
	tokens, err := lex(cql)
	if err != nil {
		return nil, &message.SyntaxError{ErrorMessage: err.Error()}
	}
	s := &source{text: cql, using: keyspace, tokens: tokens, result: &statement{text: cql}}
	for s.is(len(s.tokens)-1, ";") {
		s.tokens = s.tokens[:len(s.tokens)-1]
	}
	switch end := len(s.tokens); {
	case s.is(0, "SELECT"):
		if r := s.selectClauses(end); r != nil {
			return nil, r
		}
		if r := s.systemTable(g, end); r != nil {
			return nil, r
		}
	case s.is(0, "INSERT"), s.is(0, "UPDATE"), s.is(0, "DELETE"):
		if r := s.modification(0, end); r != nil {
			return nil, r
		}
	case s.is(0, "BEGIN"):
		if r := s.batch(end); r != nil {
			return nil, r
		}
	case s.is(0, "TRUNCATE"):
		if r := s.truncate(end); r != nil {
			return nil, r
		}
	case s.is(0, "CREATE"), s.is(0, "ALTER"):
		if r := s.definition(end); r != nil {
			return nil, r
		}
	}
	s.result.cassandra = s.edited()
	return s.result, nil
}

// source is a statement while it is translated.
type source struct {
	text   string
	using  string // the keyspace of the connection
	tokens []token
	edits  []edit
	result *statement
}

// edit replaces a piece of the text.
type edit struct {
	from, to int
	text     string
}

func (s *source) edited() string {
	slices.SortStableFunc(s.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at := 0
	for _, e := range s.edits {
		b.WriteString(s.text[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	return b.String() + s.text[at:]
}

// replace puts other text in place of the tokens from i up to j.
func (s *source) replace(i, j int, text string) {
	s.edits = append(s.edits, edit{s.tokens[i].from, s.tokens[j-1].to, text})
}

// hide makes a comment of the tokens from i up to j.
func (s *source) hide(i, j int) {
	words := make([]string, 0, j-i)
	for k := i; k < j; k++ {
		words = append(words, s.raw(k))
	}
	s.replace(i, j, "/*"+strings.Join(words, " ")+"*/")
}

// raw returns the text of token i, or "" after the end.
func (s *source) raw(i int) string {
	if i < 0 || i >= len(s.tokens) {
		return ""
	}
	return s.text[s.tokens[i].from:s.tokens[i].to]
}

// is tells whether token i is a keyword or a mark.
func (s *source) is(i int, what string) bool {
	if i < 0 || i >= len(s.tokens) {
		return false
	}
	k := s.tokens[i].kind
	return (k == word || k == mark) && strings.EqualFold(s.raw(i), what)
}

// find returns the first of the tokens from i up to j that is the keyword and
// in no brackets, or -1.
func (s *source) find(i, j int, what string) int {
	for ; i < j; i++ {
		if s.tokens[i].depth == 0 && s.is(i, what) {
			return i
		}
	}
	return -1
}

// name reads a name at token i.
func (s *source) name(i int) (string, bool) {
	if i < 0 || i >= len(s.tokens) {
		return "", false
	}
	switch s.tokens[i].kind {
	case word:
		return strings.ToLower(s.raw(i)), true
	case quoted:
		return unquote(s.raw(i)), true
	default:
		return "", false
	}
}

// tableName reads the name of a table at token i, and where it ends.
func (s *source) tableName(i int) (keyspace, table string, next int) {
	table, ok := s.name(i)
	if !ok {
		return "", "", i
	}
	if s.is(i+1, ".") {
		if second, ok := s.name(i + 2); ok {
			return table, second, i + 3
		}
	}
	return s.using, table, i + 1
}

// unexpected refuses token i.
func (s *source) unexpected(i int, want string) refusal {
	at, what := len(s.text), "<EOF>"
	if i < len(s.tokens) {
		at, what = s.tokens[i].from, s.raw(i)
	}
	before := s.text[:at]
	line := strings.Count(before, "\n") + 1
	return &message.SyntaxError{ErrorMessage: fmt.Sprintf("line %d:%d no viable alternative at input '%s' (%s)",
		line, at-strings.LastIndexByte(before, '\n')-1, what, want)}
}

// unquote returns what stands between quotes.
func unquote(s string) string {
	if strings.HasPrefix(s, "$$") {
		return s[2 : len(s)-2]
	}
	q := s[:1]
	return strings.ReplaceAll(s[1:len(s)-1], q+q, q)
}
