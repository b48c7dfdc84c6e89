package settings

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/nearest"
)

// comment is what the name of a member begins with that says something to people only.
const comment = "//"

// decode reads the text of a file. What it does not have stays as it is. It returns all that is
// wrong with the text.
func decode(text []byte, into reflect.Value) Problems {
	if err := checkSyntax(text); err != nil {
		return Problems{*err}
	}
	d := &decoder{}
	d.value("", text, into)
	return d.problems
}

// checkSyntax returns what keeps a text from being one JSON value whose objects have no
// member twice. encoding/json would take the last one of those.
func checkSyntax(text []byte) *Problem {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	_, err := dec.ReadValue()
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
		rest := bytes.TrimLeft(text[dec.InputOffset():], " \t\r\n")
		return &Problem{Text: fmt.Sprintf("something follows the JSON object, in line %d", line(text, int64(len(text)-len(rest)))), Advice: "remove it"}
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.EOF):
		return &Problem{Text: "it is empty", Advice: "write a JSON object, {…}"}
	case !errors.As(err, &syntax):
		return &Problem{Text: err.Error()}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &Problem{Text: fmt.Sprintf("line %d has %s for the second time", line(text, syntax.ByteOffset), syntax.JSONPointer.LastToken()), Advice: "keep one of them"}
	}
	return &Problem{Text: fmt.Sprintf("line %d is not JSON, %v", line(text, syntax.ByteOffset), syntax.Err), Advice: "look for a comma, a quote or a bracket that is missing or too much"}
}

// line is the number of the line with the byte at an offset.
func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n"))
}

// decoder sets fields by JSON that is well formed, and notes what does not fit.
type decoder struct {
	problems Problems
}

func (d *decoder) value(path string, raw []byte, to reflect.Value) {
	switch {
	case string(raw) == "null":
		d.problems.Add(path, "is null: give it a value, or remove it")
	case isObject(to.Type()):
		d.object(path, raw, to)
	case to.Kind() == reflect.Slice && isObject(to.Type().Elem()):
		d.list(path, raw, to)
	default:
		if json.Unmarshal(raw, to.Addr().Interface()) != nil {
			d.wrongKind(path, to.Type())
		}
	}
}

func (d *decoder) object(path string, raw []byte, to reflect.Value) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		d.wrongKind(path, to.Type())
		return
	}
	var names []string
	for i := range to.NumField() {
		name := fieldName(to.Type().Field(i))
		if name == "" {
			continue
		}
		names = append(names, name)
		if raw, ok := members[name]; ok {
			d.value(join(path, name), raw, to.Field(i))
			delete(members, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !strings.HasPrefix(name, comment) {
			d.problems.Add(join(path, name), "is not a setting: %s", meant(name, names, "correct its name, or remove it"))
		}
	}
}

func (d *decoder) list(path string, raw []byte, to reflect.Value) {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		d.wrongKind(path, to.Type())
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(elements), len(elements)))
	for i, element := range elements {
		d.value(fmt.Sprintf("%s[%d]", path, i), element, to.Index(i))
	}
}

// wrongKind notes that a value in the file is not one of a type.
func (d *decoder) wrongKind(path string, t reflect.Type) {
	k := kindOf(t)
	if path == "" {
		d.problems.Add("", "it is not %s: write {…}", k.name)
		return
	}
	d.problems.Add(path, "is not %s: write it as in %s", k.name, k.inJSON)
}

// kind is what values of a type are called, and what one looks like in the file and in a
// variable.
type kind struct{ name, inJSON, inText string }

func kindOf(t reflect.Type) kind {
	switch {
	case isText(t) && t.Kind() == reflect.Int64:
		return kind{"a duration", `"10s"`, "10s"}
	case isText(t): // time.Time
		return kind{"a time", `"2026-01-31T12:00:00Z"`, "2026-01-31T12:00:00Z"}
	case isObject(t):
		return kind{"an object", `{"name": "value"}`, ""}
	}
	switch t.Kind() {
	case reflect.String:
		return kind{"a text", `"text"`, "text"}
	case reflect.Bool:
		return kind{"true or false", "true", "true"}
	case reflect.Float64:
		return kind{"a number", "0.5", "0.5"}
	case reflect.Map:
		return kind{"a list of data centres and replicas", `{"dc1": 3, "dc2": 3}`, "dc1:3,dc2:3"}
	case reflect.Slice:
		switch elem := t.Elem(); {
		case isObject(elem):
			return kind{"a list of objects", `[{"name": "value"}]`, `[{"name": "value"}]`}
		case elem.Kind() == reflect.String:
			return kind{"a list of texts", `["one", "two"]`, "one,two"}
		}
		return kind{"a list of whole numbers", "[1, 2]", "1,2"}
	}
	return kind{"a whole number", "10", "10"}
}

// isObject tells whether values of a type are objects whose members are settings.
func isObject(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// isText tells whether values of a type read themselves from a text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// fieldName is how a field is written in the file, empty for one that is not.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// meant is the advice for a name that there is not.
func meant(name string, known []string, otherwise string) string {
	if near := nearest.Names(name, known); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return otherwise
}
