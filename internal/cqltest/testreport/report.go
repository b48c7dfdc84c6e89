package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// maxLine bounds a line of input, in bytes.
const maxLine = 16 << 20

// noticeable is the least time of a package, in seconds, that the list of the
// slowest shows.
const noticeable = 5

// results is what the events so far amount to.
type results struct {
	out                     io.Writer
	passed, failed, skipped int
	packages                map[string]*pkg
	builds                  map[string]*strings.Builder // compiler output by import path
	times                   []took                      // of the packages that ended
}

// took is how long a package ran, in seconds.
type took struct {
	name    string
	seconds float64
}

// pkg is a package whose end was not seen yet.
type pkg struct {
	output  map[string]*strings.Builder // by test; "" is the package itself
	open    []string                    // tests that began and have not ended
	failed  int
	skipped int
	passed  int
}

// report copies what matters of a go test -json stream and tells whether
// everything passed.
func report(in io.Reader, out io.Writer) (bool, error) {
	r := &results{out: out, packages: map[string]*pkg{}, builds: map[string]*strings.Builder{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			r.print("%s\n", lines.Text())
			continue
		}
		r.add(e)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read test events: %w", err)
	}
	for name, p := range r.packages {
		r.endPackage(name, p, event{Output: "go test ended before this package did"})
	}
	if r.passed+r.failed == 0 {
		r.print("no test ran\n")
	}
	r.printSlowest()
	r.print("\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.failed == 0 && r.passed > 0, nil
}

func (r *results) add(e event) {
	if strings.HasPrefix(e.Action, "build-") {
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = &strings.Builder{}
		}
		r.builds[e.ImportPath].WriteString(e.Output)
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &pkg{output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "output":
		p.text(e.Test).WriteString(e.Output)
	case "run":
		p.open = append(p.open, e.Test)
	case "pass", "fail", "skip":
		if e.Test != "" {
			r.endTest(e.Package, p, e)
			return
		}
		delete(r.packages, e.Package)
		r.times = append(r.times, took{e.Package, e.Elapsed})
		switch {
		case e.Action == "fail":
			r.endPackage(e.Package, p, e)
		case p.passed+p.skipped > 0:
			r.print("ok    %s  %.1f s  (%d passed, %d skipped)\n", e.Package, e.Elapsed, p.passed, p.skipped)
		}
	}
}

func (p *pkg) text(test string) *strings.Builder {
	if p.output[test] == nil {
		p.output[test] = &strings.Builder{}
	}
	return p.output[test]
}

func (r *results) endTest(name string, p *pkg, e event) {
	if i := slices.Index(p.open, e.Test); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
	switch e.Action {
	case "pass":
		r.passed++
		p.passed++
	case "skip":
		r.skipped++
		p.skipped++
		r.print("SKIP  %s %s\n%s", name, e.Test, indent(p.text(e.Test).String()))
	case "fail":
		r.failed++
		p.failed++
		r.print("FAIL  %s %s  %.1f s\n%s", name, e.Test, e.Elapsed, indent(p.text(e.Test).String()))
	}
	delete(p.output, e.Test)
}

// endPackage reports a package that failed. If none of its tests did, because
// it does not build or ends early, it counts as one failure.
func (r *results) endPackage(name string, p *pkg, e event) {
	if p.failed == 0 {
		r.failed++
	}
	r.print("FAIL  %s  %.1f s  (%d passed, %d failed, %d skipped)\n", name, e.Elapsed, p.passed, p.failed, p.skipped)
	if build := r.builds[e.FailedBuild]; build != nil {
		r.print("%s", indent(build.String()))
	}
	r.print("%s", indent(p.text("").String()+e.Output))
	for _, test := range p.open {
		r.print("      %s did not end:\n%s", test, indent(p.text(test).String()))
	}
}

// printSlowest lists the packages that took a noticeable time, the slowest
// first. Packages run side by side, so the times add up to more than the whole.
func (r *results) printSlowest() {
	slow := slices.DeleteFunc(r.times, func(t took) bool { return t.seconds < noticeable })
	if len(slow) == 0 {
		return
	}
	slices.SortFunc(slow, func(a, b took) int { return cmp.Compare(b.seconds, a.seconds) })
	r.print("\nby package, the slowest first\n")
	for _, t := range slow {
		r.print("%8.1f s  %s\n", t.seconds, t.name)
	}
}

// indent sets text off from the report and leaves out the lines by which go
// test only announces tests.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "=== ") {
			continue
		}
		b.WriteString("      " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// print writes to the report. A reader that went away is no reason to stop
// counting: the exit code still tells.
func (r *results) print(format string, args ...any) {
	fmt.Fprintf(r.out, format, args...)
}
