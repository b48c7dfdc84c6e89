package scylla

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxTexts bounds the statements whose label is kept. The program has fewer; what
	// is beyond is looked at each time.
	maxTexts = 1000
	// maxLabels bounds the labels of statements.
	maxLabels = 300
	// otherStatement is the label of what has none of its own.
	otherStatement = "other"
)

// series are the counters of one statement, found once.
type series struct {
	requests [outcomes]prometheus.Counter
	took     prometheus.Observer
	cas      [casResults]prometheus.Counter
}

// texts has the series of each statement. It is safe for concurrent use, and
// those who look up a statement that is known wait for nobody.
type texts struct {
	known atomic.Pointer[map[statementKey]*series] // never written to
	make  func(label string, conditional bool) *series

	mu      sync.Mutex
	byLabel map[string]*series
}

// statementKey is a statement, or a batch that begins with it.
type statementKey struct {
	text  string
	batch bool
}

// of returns the series of a statement.
func (s *texts) of(key statementKey) *series {
	if known := s.known.Load(); known != nil {
		if found := (*known)[key]; found != nil {
			return found
		}
	}
	return s.learn(key)
}

// learn makes the series of a statement, unless another one with its label has.
func (s *texts) learn(key statementKey) *series {
	label, conditional := labelOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byLabel == nil {
		s.byLabel = make(map[string]*series)
	}
	if s.byLabel[label] == nil {
		if len(s.byLabel) >= maxLabels {
			label = otherStatement
		}
		if s.byLabel[label] == nil {
			s.byLabel[label] = s.make(label, conditional)
		}
	}
	found := s.byLabel[label]
	next := make(map[statementKey]*series)
	if known := s.known.Load(); known != nil {
		if len(*known) >= maxTexts {
			return found
		}
		maps.Copy(next, *known)
	}
	next[key] = found
	s.known.Store(&next)
	return found
}

// labelOf is the label of a statement: its verb, its table, and whether it has a
// condition, as in "update pins if"; of a batch the table of its first statement, as
// in "batch changes". Nothing else of a statement comes into a label.
func labelOf(key statementKey) (label string, conditional bool) {
	words := strings.Fields(strings.ToLower(key.text))
	if len(words) == 0 {
		return otherStatement, false
	}
	verb, before := words[0], ""
	switch verb {
	case "select", "delete":
		before = "from"
	case "insert":
		before = "into"
	case "update":
	default:
		return otherStatement, false
	}
	table := tableAfter(words, before)
	if table == "" {
		return otherStatement, false
	}
	if key.batch {
		return "batch " + table, false
	}
	label = verb + " " + table
	for _, word := range words {
		if word == "if" {
			return label + " if", true
		}
	}
	return label, false
}

// tableAfter is the table that a word comes before, the first word if it is empty. It
// has its keyspace if that is one of the engine's.
func tableAfter(words []string, before string) string {
	at := 1
	if before != "" {
		for at = 1; at < len(words) && words[at-1] != before; at++ {
		}
	}
	if at >= len(words) {
		return ""
	}
	name, _, _ := strings.Cut(words[at], "(")
	if keyspace, table, qualified := strings.Cut(name, "."); qualified && !strings.HasPrefix(keyspace, "system") {
		name = table
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
		return ""
	}
	return name
}
