package plan

import (
	"fmt"
	"strings"
)

// Problem is something that is wrong with a plan, or a warning.
type Problem struct {
	// File is the name of the file, and Line the number of the line, 0 for the whole file.
	File string
	Line int
	// Field is the path of what is wrong, as "charges[0].tiers[1].up_to". Empty for the file.
	Field string
	// Text is what is wrong, and Advice what to do.
	Text, Advice string
	// Warning says that the plan can be used as it is.
	Warning bool
}

// String returns all of it in a line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + " ")
	}
	b.WriteString(p.Text)
	if p.Advice != "" {
		b.WriteString(": " + p.Advice)
	}
	return b.String()
}

// Problems are all that is wrong. As an error there is at least one that is no warning.
type Problems []Problem

// Error has a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// split separates what is wrong from warnings.
func (p Problems) split() (wrong, warnings Problems) {
	for _, problem := range p {
		if problem.Warning {
			warnings = append(warnings, problem)
		} else {
			wrong = append(wrong, problem)
		}
	}
	return wrong, warnings
}
