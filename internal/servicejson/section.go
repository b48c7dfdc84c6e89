// Package servicejson is what our sections of service.json have in common: they refuse
// what they do not know, can be set by the environment, and are shown without their
// secrets. A section is written as a struct whose fields have json tags, with structs in
// it for the sections below.
package servicejson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Section is one section of service.json.
type Section struct {
	// Path is where it is, as "state.scylla".
	Path string
	// EnvPrefix is what the names of its environment variables begin with, as
	// "CLUSTER_SCYLLA".
	EnvPrefix string
	// Page is the page of documentation that has all fields.
	Page string
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Section string // its path
	Field   string // as in service.json, "tls.ca_file"
	Problem string
}

func (e *FieldError) Error() string {
	return e.Section + "." + e.Field + ": " + e.Problem
}

// BadField returns a FieldError.
func (s Section) BadField(field, format string, args ...any) error {
	return &FieldError{Section: s.Path, Field: field, Problem: fmt.Sprintf(format, args...)}
}

// Decode reads the JSON of the section into a pointer to a struct. What raw does not
// have stays. Unknown fields are errors.
func (s Section) Decode(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return s.explain(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: something follows the JSON object: remove it", s.Path)
	}
	return nil
}

// explain puts errors of encoding/json in the words of the file.
func (s Section) explain(err error) error {
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) {
		if typeErr.Field == "" {
			return fmt.Errorf("%s: a JSON %s instead of an object: write {…}", s.Path, typeErr.Value)
		}
		return s.BadField(typeErr.Field, "a JSON %s instead of %s", typeErr.Value, jsonKind(typeErr.Type))
	}
	// encoding/json has no error type for unknown fields.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("%s: unknown field %s: correct its name or remove it", s.Path, name)
	}
	return fmt.Errorf("%s: not valid JSON: %w", s.Path, err)
}

func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of strings"
	case reflect.String:
		return "a string"
	default:
		return "an object"
	}
}
