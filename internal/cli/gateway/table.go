package gateway

import (
	"encoding/json"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table is a list as people read it, or as one JSON object a line.
type table struct {
	lines *json.Encoder // nil for people
	cells *tabwriter.Writer
	err   error
}

func (cmd *command) table(asJSON bool, header ...string) *table {
	if asJSON {
		enc := json.NewEncoder(cmd.stdout)
		enc.SetEscapeHTML(false)
		return &table{lines: enc}
	}
	t := &table{cells: tabwriter.NewWriter(cmd.stdout, 0, 0, 2, ' ', 0)}
	_, t.err = t.cells.Write([]byte(strings.Join(header, "\t") + "\n"))
	return t
}

// row adds a value, of which people see some texts.
func (t *table) row(value any, texts ...string) error {
	if t.lines != nil {
		return t.lines.Encode(value)
	}
	for i, text := range texts {
		texts[i] = plain(text)
	}
	_, err := t.cells.Write([]byte(strings.Join(texts, "\t") + "\n"))
	return err
}

// flush writes what was added.
func (t *table) flush() error {
	if t.cells == nil || t.err != nil {
		return t.err
	}
	return t.cells.Flush()
}

// moment is a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// limit is a limit for people.
func limit(n int64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func state(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
