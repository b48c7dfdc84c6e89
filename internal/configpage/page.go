// Package configpage makes the tables of fields on pages of documentation, from the code of
// a section of service.json and the doc comments in it. It is for the tests that
// compare the pages with the code.
package configpage

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"text/template"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// Source is the code of a section.
type Source struct {
	Section servicejson.Section
	// Written is the struct that is in service.json, Documented the one whose fields of
	// the same names have doc comments in File. In comments the names of fields, and of
	// string constants in File, become what is written in service.json.
	Written, Documented reflect.Type
	File                string
	// Files are those with the structs of other packages that are among the fields, by
	// import path.
	Files map[string]string
	// Variables are the environment variables by the paths of their fields. Nil means those of
	// Section.
	Variables map[string]string
	// Defaults is the JSON of a section with default values.
	Defaults []byte
}

// Check compares a page with what the template makes of the code, or writes the page if
// update is set. The template gets the rows.
func (s Source) Check(page, tmpl string, update bool) error {
	want, err := s.make(tmpl)
	if err != nil {
		return err
	}
	if update {
		return os.WriteFile(page, want, 0o644)
	}
	committed, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if !bytes.Equal(committed, want) {
		return errors.New(page + " is not what the code says, run go generate\n" + firstDifference(string(committed), string(want)))
	}
	return nil
}

func (s Source) make(tmpl string) ([]byte, error) {
	code, err := os.ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	rows, err := s.rows(code)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Default, err = s.defaultOf(rows[i].Field); err != nil {
			return nil, err
		}
	}
	t, err := template.ParseFiles(tmpl)
	if err != nil {
		return nil, fmt.Errorf("reading the page's template: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, rows); err != nil {
		return nil, fmt.Errorf("making the page: %w", err)
	}
	return page.Bytes(), nil
}

// Row is one row of the table of fields.
type Row struct{ Field, Variable, Default, Meaning string }

// rows returns a row without default for each field of service.json. A list of objects has
// one, and one for each field of its elements, which have no variable.
func (s Source) rows(code []byte) ([]Row, error) {
	all, err := s.comments(code)
	if err != nil {
		return nil, err
	}
	variables := s.Variables
	if variables == nil {
		variables = s.Section.Variables(s.Written)
	}
	var rows []Row
	var walk func(written, documented reflect.Type, path string) error
	walk = func(written, documented reflect.Type, path string) error {
		for i := range written.NumField() {
			f := written.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if key == "-" {
				continue
			}
			twin, ok := documented.FieldByName(f.Name)
			if !ok {
				return fmt.Errorf("field %s of service.json is not in %s", path+key, documented.Name())
			}
			if isSection(f.Type) {
				if err := walk(f.Type, twin.Type, path+key+"."); err != nil {
					return err
				}
				continue
			}
			c, ok := all[documented.PkgPath()]
			switch {
			case !ok:
				c = all[""]
			case len(c.names) == 0: // its fields are named from here
				addNames(c.names, written, path, "")
			}
			meaning := c.meaning(documented.Name(), f.Name)
			if meaning == "" {
				return fmt.Errorf("an undocumented config field: %s.%s (%s) has no doc comment in %s", documented.Name(), f.Name, path+key, s.File)
			}
			rows = append(rows, Row{Field: path + key, Variable: variables[path+key], Meaning: meaning})
			if f.Type.Kind() == reflect.Slice && isSection(f.Type.Elem()) {
				if err := walk(f.Type.Elem(), twin.Type.Elem(), path+key+"[]."); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return rows, walk(s.Written, s.Documented, "")
}

// comments returns those of File as those of "", and those of Files by import path.
func (s Source) comments(code []byte) (map[string]comments, error) {
	names := make(map[string]string)
	addNames(names, s.Written, "", "")
	c, err := readComments(s.File, code)
	if err != nil {
		return nil, err
	}
	c.names = names
	all := map[string]comments{"": c}
	for path, file := range s.Files {
		if code, err = os.ReadFile(file); err != nil {
			return nil, err
		}
		if all[path], err = readComments(file, code); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// isSection tells a struct with fields from one that is one value, as a time.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// defaultOf returns the default value of a field as Markdown, empty if the field is
// left out.
func (s Source) defaultOf(path string) (string, error) {
	raw := json.RawMessage(s.Defaults)
	if strings.Contains(path, "[]") { // of the elements of a list
		return "", nil
	}
	for _, key := range strings.Split(path, ".") {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return "", fmt.Errorf("reading the default of %s: %w", path, err)
		}
		raw = m[key]
	}
	if len(raw) == 0 {
		return "", nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return "", fmt.Errorf("reading the default of %s: %w", path, err)
	}
	return "`" + compact.String() + "`", nil
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; ; i++ {
		switch {
		case i >= len(a):
			return "missing at the end: " + strconv.Quote(b[i])
		case i >= len(b):
			return "too much at the end: " + strconv.Quote(a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, a[i], b[i])
		}
	}
}
