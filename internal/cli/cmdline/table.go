package cmdline

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Table is a list as people read it, or as one JSON object a line.
type Table struct {
	lines *json.Encoder // nil for people
	cells *tabwriter.Writer
	err   error
}

// NewTable returns a table that is written to w.
func NewTable(w io.Writer, asJSON bool, header ...string) *Table {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return &Table{lines: enc}
	}
	t := &Table{cells: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	_, t.err = t.cells.Write([]byte(strings.Join(header, "\t") + "\n"))
	return t
}

// Row adds a value, of which people see some texts.
func (t *Table) Row(value any, texts ...string) error {
	if t.lines != nil {
		return t.lines.Encode(value)
	}
	for i, text := range texts {
		texts[i] = Plain(text)
	}
	_, err := t.cells.Write([]byte(strings.Join(texts, "\t") + "\n"))
	return err
}

// Flush writes what was added.
func (t *Table) Flush() error {
	if t.cells == nil || t.err != nil {
		return t.err
	}
	return t.cells.Flush()
}

// Moment is a time for people.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// Limit is a limit for people.
func Limit(n int64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

// State says in a word which of two something is.
func State(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
