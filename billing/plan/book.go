package plan

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// File is the text of a plan, and where it is from.
type File struct {
	Name string
	Text []byte
}

// ReadFolder returns the files of a folder whose names end in .yaml, .yml or .json, by
// their names.
func ReadFolder(folder fs.FS) ([]File, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("looking for plans: %w", err)
	}
	var files []File
	for _, e := range entries {
		if ext := path.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		text, err := fs.ReadFile(folder, e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading a plan: %w", err)
		}
		files = append(files, File{e.Name(), text})
	}
	return files, nil
}

// Book has all versions of all plans.
type Book struct {
	plans []*Plan // by name, and then by version
}

// NewBook reads plans. used are versions that invoices have: they must be there, as they
// were. The error is Problems: all that is wrong with any of them.
func NewBook(files []File, used []Ref) (*Book, error) {
	b, problems := read(files, used)
	if wrong, _ := problems.split(); len(wrong) > 0 {
		return nil, problems
	}
	return b, nil
}

// Lint returns all that is wrong with plans, and what is probably not meant.
func Lint(files []File, used []Ref) Problems {
	_, problems := read(files, used)
	return problems
}

func read(files []File, used []Ref) (*Book, Problems) {
	b := &Book{}
	var problems Problems
	for _, f := range files {
		p, err := Parse(f.Name, f.Text)
		switch wrong, ok := err.(Problems); { //nolint:errorlint // Parse returns it bare
		case ok:
			problems = append(problems, wrong...)
		case err != nil:
			problems = append(problems, Problem{File: f.Name, Text: err.Error()})
		default:
			b.plans = append(b.plans, p)
			problems = append(problems, p.warnings...)
		}
	}
	slices.SortStableFunc(b.plans, func(p, q *Plan) int {
		return cmp.Or(cmp.Compare(p.name, q.name), cmp.Compare(p.version, q.version))
	})
	for i, p := range b.plans[min(1, len(b.plans)):] {
		problems = append(problems, p.after(b.plans[i])...)
	}
	return b, append(problems, b.changed(used)...)
}

// after returns what is wrong with a plan beside the one before it in a book.
func (p *Plan) after(before *Plan) Problems {
	if p.name != before.name {
		return nil
	}
	problem := Problem{File: p.file, Line: p.line, Field: "effective"}
	switch {
	case p.version == before.version:
		problem.Field, problem.Line = "version", 0
		problem.Text, problem.Advice = fmt.Sprintf("is %d, as in %s", p.version, before.file), "a version is in one file; give the newer text a number of its own"
	case p.effective <= before.effective:
		problem.Text = fmt.Sprintf("is %s, and version %d is effective from %s: on those days both are", p.effective, before.version, before.effective)
		problem.Advice = fmt.Sprintf("let version %d begin after version %d", p.version, before.version)
	case p.currency != before.currency && p.effective != MonthOf(p.effective).First():
		problem.Text = fmt.Sprintf("is %s, within a month, and version %d has %s instead of %s", p.effective, p.version, p.currency, before.currency)
		problem.Advice = "a currency changes with a month"
	default:
		return nil
	}
	return Problems{problem}
}

// changed returns which versions are not there any more as they were used.
func (b *Book) changed(used []Ref) Problems {
	var problems Problems
	for _, u := range used {
		p, ok := b.Plan(u.Plan, u.Version)
		switch {
		case !ok:
			problems = append(problems, Problem{File: u.Plan, Text: fmt.Sprintf("version %d is gone, and invoices are by it", u.Version),
				Advice: fmt.Sprintf("bring back its file, whose digest was %s", u.Digest)})
		case p.digest != u.Digest:
			problems = append(problems, Problem{File: p.file, Text: fmt.Sprintf("version %d of %s has changed after invoices were made by it, from digest %.12s to %.12s", p.version, p.name, u.Digest, p.digest),
				Advice: "bring back its text, and write what is new into a version of its own"})
		}
	}
	return problems
}

// Plan returns a version of a plan.
func (b *Book) Plan(name string, version int) (*Plan, bool) {
	for _, p := range b.plans {
		if p.name == name && p.version == version {
			return p, true
		}
	}
	return nil, false
}

// Plans returns all of them, by their names and versions.
func (b *Book) Plans() []*Plan { return slices.Clone(b.plans) }
