package servicejson

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// ApplyEnv overrides the fields of a section, a pointer to a struct, with the environment
// variables that are set. Errors name the variable. One that begins like the section's
// and belongs to no field is an error, too.
func (s Section) ApplyEnv(v any) error {
	if err := s.RefuseUnknown(reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	if err := envconfig.Process(s.EnvPrefix, v); err != nil {
		var parseErr *envconfig.ParseError
		if errors.As(err, &parseErr) {
			return fmt.Errorf("environment variable %s: %q is not %s", parseErr.KeyName, parseErr.Value, envKind(parseErr.TypeName))
		}
		return fmt.Errorf("reading the environment variables %s_*: %w", s.EnvPrefix, err)
	}
	return nil
}

// BlameEnv adds the name of the environment variable to an error about a field
// of t that the environment has set.
func (s Section) BlameEnv(t reflect.Type, err error) error {
	var fieldErr *FieldError
	if !errors.As(err, &fieldErr) {
		return err
	}
	name := s.Variables(t)[fieldErr.Field]
	if _, set := os.LookupEnv(name); !set {
		return err
	}
	return fmt.Errorf("environment variable %s: %w", name, err)
}

// Variables returns the names of the environment variables for the fields of t, by the
// paths of the fields in the section.
func (s Section) Variables(t reflect.Type) map[string]string {
	return envNames(t, s.EnvPrefix, "")
}

func envNames(t reflect.Type, envPrefix, path string) map[string]string {
	names := make(map[string]string)
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		env := envPrefix + "_" + strings.ToUpper(f.Name)
		if f.Type.Kind() != reflect.Struct {
			names[path+key] = env
			continue
		}
		for k, v := range envNames(f.Type, env, path+key+".") {
			names[k] = v
		}
	}
	return names
}

func envKind(goType string) string {
	switch goType {
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "map[string]int":
		return "a list of data centres and replicas, as in dc1:3,dc2:3"
	default:
		return "a value of type " + goType
	}
}
