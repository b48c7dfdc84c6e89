package settings

import (
	"fmt"
	"strings"
)

// Problem is something that is wrong with one field, or with the file.
type Problem struct {
	// Field is its path, as "issuers[0].url". Empty for what is wrong with the file itself.
	Field string
	// Variable is the environment variable that has set the field. Empty if none has.
	Variable string
	// Text is what is wrong, and Advice what to do.
	Text, Advice string
}

// String returns all of it in a line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Field != "" {
		b.WriteString(p.Field + " ")
	}
	if p.Variable != "" {
		fmt.Fprintf(&b, "(%s) ", p.Variable)
	}
	b.WriteString(p.Text)
	if p.Advice != "" {
		b.WriteString(": " + p.Advice)
	}
	return b.String()
}

// Problems are all that is wrong with a configuration. There is at least one.
type Problems []Problem

// Error has a line for each, with a line before them if there are several.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].String()
	}
	lines := []string{fmt.Sprintf("%d settings are wrong:", len(p))}
	for _, problem := range p {
		lines = append(lines, "  "+problem.String())
	}
	return strings.Join(lines, "\n")
}

// Add notes a problem with a field. What is after the colon in the text is the advice.
func (p *Problems) Add(field, format string, args ...any) {
	text, advice, _ := strings.Cut(fmt.Sprintf(format, args...), ": ")
	*p = append(*p, Problem{Field: field, Text: text, Advice: advice})
}

// AddAt notes a problem with one of a list.
func (p *Problems) AddAt(field string, i int, format string, args ...any) {
	p.Add(fmt.Sprintf("%s[%d]", field, i), format, args...)
}

// Err returns the problems as an error, nil if there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Blame adds to each problem the variable that has set its field, or something in it: variables are by
// the paths of their fields, as Program.Decode returns them.
func (p Problems) Blame(variables map[string]string) {
	for i, problem := range p {
		for field, name := range variables {
			if problem.Field == field || strings.HasPrefix(problem.Field, field+"[") {
				p[i].Variable = name
			}
		}
	}
}
