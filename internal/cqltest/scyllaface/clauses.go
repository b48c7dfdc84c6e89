package scyllaface

import (
	"regexp"
	"strings"

	"github.com/datastax/go-cassandra-native-protocol/message"
)

// selectClauses takes out the two last clauses of a SELECT: BYPASS CACHE, then
// USING TIMEOUT.
func (s *source) selectClauses(end int) refusal {
	if i := s.find(0, end, "USING"); i >= 0 {
		if !s.is(i+1, "TIMEOUT") {
			return s.unexpected(i+1, "SELECT takes USING TIMEOUT")
		}
		next, r := s.duration(i + 2)
		if r != nil {
			return r
		}
		if next != end {
			return s.unexpected(next, "USING TIMEOUT is the last clause")
		}
		s.hide(i, next)
		end = i
	}
	i := s.bypassCache(0, end)
	if i < 0 {
		return nil
	}
	if i+2 != end {
		return s.unexpected(i+2, "after BYPASS CACHE comes only USING TIMEOUT")
	}
	s.hide(i, i+2)
	return nil
}

func (s *source) bypassCache(i, j int) int {
	for ; i < j; i++ {
		if s.tokens[i].depth == 0 && s.is(i, "BYPASS") && s.is(i+1, "CACHE") {
			return i
		}
	}
	return -1
}

// modification handles the INSERT, UPDATE or DELETE from token i up to end.
func (s *source) modification(i, end int) refusal {
	if s.find(i, end, "IF") >= 0 {
		s.result.conditional = true
	}
	if b := s.bypassCache(i, end); b >= 0 {
		return s.unexpected(b, "BYPASS CACHE belongs to SELECT")
	}
	using := s.find(i, end, "USING")
	if using < 0 {
		return nil
	}
	objectives := []string{"TIMESTAMP", "TTL", "TIMEOUT"}
	if s.is(i, "DELETE") {
		objectives = []string{"TIMESTAMP", "TIMEOUT"}
	}
	next, r := s.attributes(using, objectives)
	if r != nil || next < 0 {
		return r
	}
	switch {
	case s.is(i, "INSERT"):
		if next != end {
			return s.unexpected(next, "USING is the last clause of INSERT")
		}
	case s.is(i, "UPDATE"):
		if _, _, name := s.tableName(i + 1); using != name || !s.is(next, "SET") {
			return s.unexpected(using, "UPDATE takes USING between the table and SET")
		}
	default:
		from := s.find(i, end, "FROM")
		if _, _, name := s.tableName(from + 1); from < 0 || using != name || !s.is(next, "WHERE") {
			return s.unexpected(using, "DELETE takes USING between the table and WHERE")
		}
	}
	return nil
}

// attributes takes the timeouts out of the USING clause at token i. It returns
// where the clause ends, or -1 if it has no timeout: then it is for Cassandra
// to judge.
func (s *source) attributes(i int, objectives []string) (int, refusal) {
	type attribute struct {
		from, to int
		timeout  bool
	}
	var list []attribute
	timeouts := 0
	at := i + 1
	for {
		a := attribute{from: at, timeout: s.is(at, "TIMEOUT")}
		known := false
		for _, o := range objectives {
			known = known || s.is(at, o)
		}
		var r refusal
		switch {
		case !known:
			return 0, s.unexpected(at, "USING takes "+strings.Join(objectives, ", "))
		case a.timeout:
			timeouts++
			if at, r = s.duration(at + 1); r != nil {
				return 0, r
			}
		case s.is(at+1, ":"), s.is(at+1, "-"): // a marker with a name, a number below zero
			at += 3
		default:
			at += 2
		}
		if at > len(s.tokens) {
			return 0, s.unexpected(len(s.tokens), "a value is missing")
		}
		a.to = at
		list = append(list, a)
		if !s.is(at, "AND") {
			break
		}
		at++
	}
	switch timeouts {
	case 0:
		return -1, nil
	case len(list):
		s.hide(i, at)
		return at, nil
	}
	kept := false
	for k, a := range list {
		switch {
		case !a.timeout:
			kept = true
		case kept:
			s.hide(a.from-1, a.to) // and the AND before it
		default:
			s.hide(a.from, list[k+1].from) // and the AND after it
		}
	}
	return at, nil
}

// durations that ScyllaDB takes for a timeout: it refuses days and more, whose
// length varies, and less than a millisecond.
var timeoutText = regexp.MustCompile(`(?i)^([0-9]+(h|m|s|ms))+$`)

// duration checks the length of a timeout at token i and returns where it ends.
func (s *source) duration(i int) (int, refusal) {
	switch {
	case s.is(i, "?"), s.is(i, ":"):
		return 0, &message.ServerError{ErrorMessage: "the face takes timeouts out of statements and cannot do so with a marker: write the timeout into the statement"}
	case i >= len(s.tokens) || s.tokens[i].kind != number:
		return 0, s.unexpected(i, "TIMEOUT takes a duration")
	case !timeoutText.MatchString(s.raw(i)):
		return 0, &message.Invalid{ErrorMessage: "timeout " + s.raw(i) + " is not made of hours, minutes, seconds and milliseconds"}
	}
	return i + 1, nil
}

// batchStep returns the first token from i on that begins a statement of a
// batch, or its end.
func (s *source) batchStep(i, end int) int {
	for ; i < end; i++ {
		if s.tokens[i].depth == 0 && (s.is(i, "INSERT") || s.is(i, "UPDATE") || s.is(i, "DELETE") || s.is(i, "APPLY")) {
			break
		}
	}
	return i
}

// batch handles a batch that is one statement.
func (s *source) batch(end int) refusal {
	at := s.batchStep(1, end)
	if using := s.find(1, at, "USING"); using >= 0 {
		if next, r := s.attributes(using, []string{"TIMESTAMP", "TIMEOUT"}); r != nil {
			return r
		} else if next >= 0 && next != at {
			return s.unexpected(next, "the statements of the batch follow USING")
		}
	}
	for at < end && !s.is(at, "APPLY") {
		next := s.batchStep(at+1, end)
		last := next
		for s.is(last-1, ";") {
			last--
		}
		if r := s.modification(at, last); r != nil {
			return r
		}
		at = next
	}
	return nil
}

// truncate takes out the timeout of TRUNCATE.
func (s *source) truncate(end int) refusal {
	i := s.find(0, end, "USING")
	if i < 0 {
		return nil
	}
	if next, r := s.attributes(i, []string{"TIMEOUT"}); r != nil {
		return r
	} else if next != end {
		return s.unexpected(next, "USING TIMEOUT is the last clause")
	}
	return nil
}
