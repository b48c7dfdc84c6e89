package audit

import "fmt"

// Report is what Verify found.
type Report struct {
	Writers []WriterReport `json:"writers"`
	// Problems are what must not be, in the order of the files; at most maxProblems.
	Problems []Problem `json:"problems"`
}

// WriterReport is what was found of one chain.
type WriterReport struct {
	Writer string `json:"writer"`
	// Files is how many there are, or parts of a table.
	Files int `json:"files"`
	// First and Last are the numbers of the first and the last record.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Sealed is the number of the last record that a checkpoint is of: whoever has the
	// files could remove those after it.
	Sealed int64 `json:"sealed"`
	// Starts is how often the writer started, Dropped how often a crash had left something.
	Starts  int `json:"starts"`
	Dropped int `json:"dropped"`
	// Torn: the last line is not complete, as after a crash, or while it is being written.
	Torn bool `json:"torn"`
}

// Problem is something that a writer does not do.
type Problem struct {
	Writer string `json:"writer"`
	// File is the name of the file, or of the part of a table.
	File string `json:"file,omitempty"`
	// Line is that of the file, or the number that the record has by its row.
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
}

// String implements fmt.Stringer.
func (p Problem) String() string {
	if p.File == "" {
		return p.Writer + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
}

const maxProblems = 1000

func (r *Report) complain(p Problem) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, p)
	}
}
