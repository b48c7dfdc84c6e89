package scyllaface

import (
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/google/uuid"
)

// definition translates the options of CREATE and ALTER TABLE and KEYSPACE.
// Other definitions pass.
func (s *source) definition(end int) refusal {
	var translate func(option) (string, refusal)
	isKeyspace := s.is(1, "KEYSPACE")
	switch {
	case isKeyspace:
		translate = s.keyspaceOption
	case s.is(1, "TABLE"), s.is(1, "COLUMNFAMILY"):
		translate = tableOption
	default:
		return nil
	}
	at := 2
	if s.is(2, "IF") {
		for at < end && !s.is(at, "EXISTS") {
			at++
		}
		at++
	}
	keyspace, table, next := s.tableName(at)
	if isKeyspace && s.is(0, "CREATE") {
		s.result.keyspace = table
	}
	var options []string
	with := s.find(next, end, "WITH")
	for i, more := with+1, with >= 0; more; {
		j := s.find(i, end, "AND")
		if more = j >= 0; !more {
			j = end
		}
		text, r := s.option(i, j, translate)
		if r != nil {
			return r
		}
		if text != "" {
			options = append(options, text)
		}
		i = j + 1
	}
	if s.is(0, "CREATE") && !isKeyspace {
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(keyspace+"."+table))
		options = append(options, "id = "+id.String())
	}
	clause := ""
	if len(options) > 0 {
		clause = "WITH " + strings.Join(options, " AND ")
	}
	switch {
	case with >= 0:
		s.replace(with, end, clause)
	case clause != "":
		last := s.tokens[end-1].to
		s.edits = append(s.edits, edit{last, last, " " + clause})
	}
	return nil
}

// option translates what stands between two ANDs.
func (s *source) option(i, j int, translate func(option) (string, refusal)) (string, refusal) {
	if i >= j {
		return "", s.unexpected(i, "an option is missing")
	}
	raw := s.text[s.tokens[i].from:s.tokens[j-1].to]
	if s.is(i, "CLUSTERING") && s.is(i+1, "ORDER") {
		return raw, nil
	}
	name, ok := s.name(i)
	if !ok || !s.is(i+1, "=") || i+2 >= j {
		return "", s.unexpected(i, "an option is a name, = and a value")
	}
	o := option{name: name, raw: raw}
	if !s.is(i+2, "{") {
		return translate(o)
	}
	o.values = map[string]string{}
	for i += 3; ; i += 4 {
		if i == j-1 && s.is(i, "}") {
			return translate(o)
		}
		key, ok := s.constant(i)
		value, ok2 := s.constant(i + 2)
		if !ok || !ok2 || !s.is(i+1, ":") || i+3 >= j || !s.is(i+3, ",") && !s.is(i+3, "}") {
			return "", s.unexpected(i, "a map is {'key': value, …}")
		}
		o.values[key] = value
		if s.is(i+3, "}") {
			if i+4 != j {
				return "", s.unexpected(i+4, "an option ends with its map")
			}
			return translate(o)
		}
	}
}

// constant reads a string, number or boolean at token i.
func (s *source) constant(i int) (string, bool) {
	if i >= len(s.tokens) {
		return "", false
	}
	switch s.tokens[i].kind {
	case text:
		return unquote(s.raw(i)), true
	case number, word:
		return s.raw(i), true
	default:
		return "", false
	}
}

// keyspaceOption translates an option of a keyspace.
func (s *source) keyspaceOption(o option) (string, refusal) {
	switch o.name {
	case "replication", "durable_writes":
		return o.raw, nil
	case "tablets":
		enabled := "true"
		for key, value := range o.values {
			switch {
			case key == "enabled" && (value == "true" || value == "false"):
				enabled = value
			case key == "initial" && isDigits(value):
			default:
				return "", o.unknown(key)
			}
		}
		s.result.vnodes = enabled == "false"
		return "", nil
	}
	return "", &message.SyntaxError{ErrorMessage: "Unknown property '" + o.name + "'"}
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
