package scyllastate

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// simPins is the table pins in memory. What the conditional statements do is
// taken from their text: the simulation follows it when it changes.
type simPins struct {
	rows map[string]simRow
	// hanging are updates that a majority of replicas has accepted and nobody
	// has committed: reads do not see them, and the next ballot finishes them
	// or rules them out.
	hanging map[string]func(done bool)
}

// simRow has the cells of one row by column. A row without cells is none.
type simRow map[string]simCell

// simCell is a value and when it runs out, which is zero for never.
type simCell struct {
	value   any
	runsOut time.Time
}

func (r simRow) get(column string, now time.Time) any {
	c, ok := r[column]
	if !ok || !c.runsOut.IsZero() && !now.Before(c.runsOut) {
		return nil
	}
	return c.value
}

// read returns what the store knows of a row, of the given columns only.
func (p *simPins) read(cid string, now time.Time, columns ...string) row {
	var out row
	r := p.rows[cid]
	for _, column := range columns {
		switch v := r.get(column, now).(type) {
		case gocql.UUID:
			if column == "rev" {
				out.rev = v
			} else {
				out.prev = v
			}
		case []byte:
			out.pin = v
		}
	}
	return out
}

// would reports whether the condition of a statement holds.
func (p *simPins) would(text string, w *write, now time.Time) bool {
	return simStatement(text).holds(p.rows[string(w.cid.Bytes())], w, now)
}

// swap runs a conditional statement for w. It returns the row as the server
// does, which is the columns of the condition, when it is not applied.
func (p *simPins) swap(text string, w *write, ttl time.Duration, now time.Time) (bool, row) {
	st := simStatement(text)
	key := string(w.cid.Bytes())
	r := p.rows[key]
	if !st.holds(r, w, now) {
		return false, p.read(key, now, st.conditions...)
	}
	if st.remove {
		delete(p.rows, key)
		return true, row{}
	}
	next := simRow{}
	for column, c := range r {
		next[column] = c
	}
	for column, null := range st.set {
		value, known := simValue(column, w)
		switch {
		case null:
			delete(next, column)
		case !known || value == nil: // unset
		case st.ttl:
			next[column] = simCell{value, now.Add(ttl)}
		default:
			next[column] = simCell{value: value}
		}
	}
	p.rows[key] = next
	return true, row{}
}

// simValue is what cqlTables binds to a column, nil when it leaves it unset.
func simValue(column string, w *write) (value any, known bool) {
	switch column {
	case "rev":
		return w.rev, true
	case "prev":
		if w.old.absent() {
			return nil, true
		}
		return w.old.rev, true
	case "pin":
		if w.next == nil {
			return nil, true
		}
		return w.next.value, true
	}
	return nil, false
}

// simConditional is a conditional statement.
type simConditional struct {
	remove, ttl bool
	set         map[string]bool // column and whether it is set to null
	conditions  []string        // columns
}

func (st *simConditional) holds(r simRow, w *write, now time.Time) bool {
	for _, column := range st.conditions {
		v := r.get(column, now)
		switch column {
		case "rev":
			if w.old.absent() != (v == nil) || v != nil && v != w.old.rev {
				return false
			}
		case "pin":
			if value, ok := v.([]byte); ok && bytes.Equal(value, sentinel) {
				return false
			}
		}
	}
	return true
}

var (
	simUpdate = regexp.MustCompile(`^UPDATE pins( USING TTL \?)? SET (.+) WHERE cid = \? IF (.+)$`)
	simDelete = regexp.MustCompile(`^DELETE FROM pins WHERE cid = \? IF (.+)$`)
	simParsed sync.Map // text to *simConditional
)

// simStatement parses a statement. One that it does not know is a mistake of the
// one who has changed it.
func simStatement(text string) *simConditional {
	if st, ok := simParsed.Load(text); ok {
		return st.(*simConditional) //nolint:forcetypeassert // nothing else is stored
	}
	st := &simConditional{set: make(map[string]bool)}
	var conditions string
	if m := simUpdate.FindStringSubmatch(text); m != nil {
		st.ttl, conditions = m[1] != "", m[3]
		for _, s := range strings.Split(m[2], ", ") {
			column, value, ok := strings.Cut(s, " = ")
			if !ok || value != "?" && value != "null" {
				panic("the simulation does not know " + text)
			}
			st.set[column] = value == "null"
		}
	} else if m := simDelete.FindStringSubmatch(text); m != nil {
		st.remove, conditions = true, m[1]
	}
	for _, c := range strings.Split(conditions, " AND ") {
		if !slices.Contains([]string{"rev = ?", "pin != ?"}, c) {
			panic(fmt.Sprintf("the simulation does not know the condition %q of %s", c, text))
		}
		column, _, _ := strings.Cut(c, " ")
		st.conditions = append(st.conditions, column)
	}
	simParsed.Store(text, st)
	return st
}
