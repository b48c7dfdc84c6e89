package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/nearest"
)

// maxText is how long the text of a plan may be, in bytes.
const maxText = 256 << 10

// reader reads the nodes of a file, and notes what is wrong with them.
type reader struct {
	file     string
	problems Problems
}

// section is an object of the file, or one of a list.
type section struct {
	r       *reader
	field   string
	node    *yaml.Node
	members map[string]*yaml.Node
}

// read returns the object that a text consists of.
func (r *reader) read(text []byte) *yaml.Node {
	if len(text) > maxText {
		r.add(0, "", "has %d bytes, more than %d: it is not a plan", len(text), maxText)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && doc.Content[0].Tag == "!!null" {
		r.add(0, "", "is empty: write a plan")
		return nil
	}
	if err != nil {
		r.notYAML(err)
		return nil
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		r.add(next.Line, "", "has a second document: write each version into a file of its own")
	case !errors.Is(err, io.EOF):
		r.notYAML(err)
	}
	if r.plain(doc.Content[0]); len(r.problems) > 0 {
		return nil
	}
	return doc.Content[0]
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// notYAML notes an error of the library, which has the line in its text.
func (r *reader) notYAML(err error) {
	text, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(text, m[0])
	}
	r.add(line, "", "is not YAML, %s: look for an indentation, a quote or a bracket that is wrong", strings.ReplaceAll(strings.TrimPrefix(text, "yaml: "), ": ", " "))
}

// plain notes what says elsewhere what stands here: a plan is read as it is seen.
func (r *reader) plain(n *yaml.Node) {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		r.add(n.Line, "", "has an anchor or an alias: write out what is meant")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.add(n.Line, "", "has the tag %.40q: remove it", n.Tag)
		return
	}
	for _, c := range n.Content {
		r.plain(c)
	}
}

// add notes a problem. What is after the first colon in the text is the advice.
func (r *reader) add(line int, field, format string, args ...any) {
	text, advice, _ := strings.Cut(fmt.Sprintf(format, args...), ": ")
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Field: field, Text: text, Advice: advice})
}

// section takes a node for an object with some keys, and notes others.
func (r *reader) section(n *yaml.Node, field string, known ...string) section {
	s := section{r: r, field: field, node: n, members: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.add(n.Line, field, "is %s: write an object, with keys and values", kind(n))
		return s
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		isKnown := false
		for _, k := range known {
			isKnown = isKnown || k == key.Value
		}
		switch {
		case s.members[key.Value] != nil:
			r.add(key.Line, join(field, key.Value), "is there for the second time: keep one of them")
		case !isKnown:
			r.add(key.Line, join(field, fmt.Sprintf("%.40s", key.Value)), "is not a setting: %s", meant(key.Value, known, "known are "+strings.Join(known, ", ")))
		default:
			s.members[key.Value] = value
		}
	}
	return s
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

// meant is the advice for a name that is none of the known ones.
func meant(name string, known []string, otherwise string) string {
	if near := nearest.Names(name, known); len(near) == 1 {
		return "did you mean " + near[0] + "?"
	}
	return otherwise
}

// kind says what a node is, to people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	default:
		if n.Tag == "!!null" {
			return "empty"
		}
		return fmt.Sprintf("%.50q", n.Value)
	}
}

// line is that of a member, or of the object if it has none.
func (s section) line(key string) int {
	if n := s.members[key]; n != nil {
		return n.Line
	}
	return s.node.Line
}

// add notes a problem with a member.
func (s section) add(key, format string, args ...any) {
	s.r.add(s.line(key), join(s.field, key), format, args...)
}

// warn notes that a member is probably not what was meant.
func (s section) warn(key, format string, args ...any) {
	s.add(key, format, args...)
	s.r.problems[len(s.r.problems)-1].Warning = true
}

func (s section) has(key string) bool { return s.members[key] != nil }

// need notes members that are missing.
func (s section) need(keys ...string) {
	if s.node.Kind != yaml.MappingNode {
		return
	}
	for _, key := range keys {
		if !s.has(key) {
			s.add(key, "is missing: add it")
		}
	}
}

// without notes members that have no place beside the others.
func (s section) without(why string, keys ...string) {
	for _, key := range keys {
		if s.has(key) {
			s.add(key, "has no effect: remove it, as %s", why)
		}
	}
}

// text returns a member that is a text, "" if there is none.
func (s section) text(key string) string {
	n := s.members[key]
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		s.add(key, "is %s: write a text", kind(n))
		return ""
	}
	return n.Value
}

// decimal returns a member that is a decimal number in quotes, and not negative. A number
// without them is what other programs make a float of.
func (s section) decimal(key string) (money.Decimal, bool) {
	n := s.members[key]
	switch {
	case n == nil:
		return money.Decimal{}, false
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		s.add(key, `is %s: write a decimal number in quotes, as "0.02"`, kind(n))
		return money.Decimal{}, false
	case n.Tag != "!!str":
		example := "0.02"
		if _, err := money.ParseDecimal(n.Value); err == nil {
			example = n.Value
		}
		s.add(key, `is %.50s without quotes, which programs read as a float: write "%s", with quotes`, n.Value, example)
		return money.Decimal{}, false
	}
	d, err := money.ParseDecimal(n.Value)
	if err != nil {
		s.add(key, "%s", err)
		return money.Decimal{}, false
	}
	if d.Sign() < 0 {
		s.add(key, "is %s: it must not be negative", d)
		return money.Decimal{}, false
	}
	return d, true
}

var digits = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)

// whole returns a member that is a whole number, which has no quotes.
func (s section) whole(key string) (int, bool) {
	n := s.members[key]
	if n == nil {
		return 0, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || !digits.MatchString(n.Value) {
		s.add(key, "is %s: write a whole number without quotes, as 2", kind(n))
		return 0, false
	}
	v, err := strconv.Atoi(n.Value)
	return v, err == nil
}

// yes returns a member that is true or false.
func (s section) yes(key string, otherwise bool) bool {
	n := s.members[key]
	if n == nil {
		return otherwise
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
		s.add(key, "is %s: write true or false", kind(n))
		return otherwise
	}
	return n.Value == "true"
}

// choice returns a member that is one of a few words, otherwise if there is none.
func (s section) choice(key, otherwise string, words ...string) string {
	if !s.has(key) {
		return otherwise
	}
	n := s.members[key]
	for _, w := range words {
		if n.Kind == yaml.ScalarNode && n.Value == w {
			return w
		}
	}
	s.add(key, "is %s, which is not known: %s", kind(n), meant(n.Value, words, "known are "+strings.Join(words, ", ")))
	return otherwise
}

// list returns the nodes of a member that is a list of at least one and at most 100.
func (s section) list(key string) []*yaml.Node {
	n := s.members[key]
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || len(n.Content) > 100 {
		s.add(key, "is %s: write a list of 1 to 100", kind(n))
		return nil
	}
	return n.Content
}
