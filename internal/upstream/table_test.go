package upstream

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scenario is a row of docs/upstream-tests.md.
type scenario struct {
	test  string // of upstream
	slice bool   // make test runs it
	ours  []string
}

// tables are the rows of docs/upstream-tests.md, by package.
type tables struct{ root, dsstate, pintracker, stateless []scenario }

const page = "../../docs/upstream-tests.md"

// readTables reads the page.
func readTables(t *testing.T) tables {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	both, err := parseTables(string(text))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	return both
}

func parseTables(text string) (both tables, err error) {
	for heading, rows := range map[string]*[]scenario{
		"## Root package\n": &both.root, "## state/dsstate\n": &both.dsstate,
		"## pintracker\n": &both.pintracker, "## pintracker/stateless\n": &both.stateless,
	} {
		_, section, found := strings.Cut(text, heading)
		if !found {
			return both, fmt.Errorf("no section %q", heading)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		if *rows, err = parseTable(section); err != nil {
			return both, err
		}
	}
	return both, nil
}

func parseTable(section string) (rows []scenario, err error) {
	known := make(map[string]bool)
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| scenario ") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 6 {
			return nil, fmt.Errorf("not four fields: %s", line)
		}
		for i, field := range fields {
			fields[i] = strings.TrimSpace(field)
		}
		row := scenario{test: strings.Trim(fields[2], "`"), slice: fields[3] == "yes"}
		switch {
		case fields[1] == "" || row.test == "":
			return nil, fmt.Errorf("an empty field: %s", line)
		case fields[3] != "yes" && fields[3] != "":
			return nil, fmt.Errorf("slice is %q: %s", fields[3], line)
		case known[row.test]:
			return nil, fmt.Errorf("%s is there twice", row.test)
		}
		known[row.test] = true
		if fields[4] != "" {
			for name := range strings.SplitSeq(fields[4], ",") {
				row.ours = append(row.ours, strings.Trim(strings.TrimSpace(name), "`"))
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("a table is empty")
	}
	return rows, nil
}

// difference says which tests are in the binary or in the table only.
func difference(rows []scenario, tests []string) []string {
	var problems []string
	inTable := make(map[string]bool)
	for _, row := range rows {
		inTable[row.test] = true
	}
	for _, test := range tests {
		if !inTable[test] {
			problems = append(problems, test+" of upstream is in no table of "+page)
		}
		delete(inTable, test)
	}
	for test := range inTable {
		problems = append(problems, test+" is in a table of "+page+" and not in upstream")
	}
	return problems
}

// folders are what the first words of the column "ours" stand for.
var folders = map[string]string{
	"store": "scyllastate", "consensus": "peer/consensus", "tracker": "peer/tracker",
	"membership": "peer/membership", "reconcile": "peer/reconcile",
	"cli": "internal/cli/service", "e2e": "internal/e2e", "multipeer": "internal/multipeer",
}

// missing returns an error unless a test of ours exists, named as in the table.
func missing(name string) error {
	where, test, _ := strings.Cut(name, " ")
	files, pattern := "../../"+folders[where]+"/*_test.go", `(?m)^func `+regexp.QuoteMeta(test)+`\(t \*testing\.T\)`
	if where == "conformance" {
		files, pattern = "../../state/statetest/suite.go", `\{"`+regexp.QuoteMeta(test)+`", `
	} else if folders[where] == "" || test == "" {
		return fmt.Errorf("%q does not name a package and a test", name)
	}
	paths, err := filepath.Glob(files)
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if regexp.MustCompile(pattern).Match(text) {
			return nil
		}
	}
	return fmt.Errorf("no test %s in %s", test, files)
}

func TestPageNamesTestsThatExist(t *testing.T) {
	both := readTables(t)
	for _, row := range slices.Concat(both.root, both.dsstate, both.pintracker, both.stateless) {
		for _, name := range row.ours {
			if err := missing(name); err != nil {
				t.Errorf("%s, the row of %s: %v", page, row.test, err)
			}
		}
	}
}

// The checks of the tables are worth something only if each can fail.
func TestTableChecksCanFail(t *testing.T) {
	const head = "## Root package\n\n| scenario | upstream test | slice | ours |\n|---|---|---|---|\n"
	const tail = "\n## state/dsstate\n| add | `TestAdd` | yes | |\n" +
		"\n## pintracker\n| a | `TestA` | yes | |\n\n## pintracker/stateless\n| a | `TestA` | yes | |\n"
	for _, test := range []struct {
		rows string
		ok   bool
	}{
		{"| a | `TestA` | yes | `e2e TestCtl`, `conformance list` |\n| b | `TestB` | | |\n", true},
		{"", false},
		{"| a | `TestA` | yes |\n", false},
		{"| a | `TestA` | no | |\n", false},
		{"| | `TestA` | | |\n", false},
		{"| a | `TestA` | | |\n| b | `TestA` | | |\n", false},
	} {
		if _, err := parseTables(head + test.rows + tail); (err == nil) != test.ok {
			t.Errorf("%q: %v, want success: %v", test.rows, err, test.ok)
		}
	}
	rows := []scenario{{test: "TestA"}, {test: "TestB"}}
	for _, tests := range [][]string{{"TestA"}, {"TestA", "TestB", "TestC"}, {"TestA", "TestC"}} {
		if len(difference(rows, tests)) == 0 {
			t.Errorf("a table of TestA and TestB fits %q", tests)
		}
	}
	if problems := difference(rows, []string{"TestB", "TestA"}); len(problems) != 0 {
		t.Error(problems)
	}
	for name, ok := range map[string]bool{
		"e2e TestCtl": true, "conformance list": true,
		"e2e TestNot": false, "conformance not": false, "nowhere TestCtl": false, "TestCtl": false, "e2e TestCt": false,
	} {
		if err := missing(name); (err == nil) != ok {
			t.Errorf("%q: %v, want success: %v", name, err, ok)
		}
	}
}
