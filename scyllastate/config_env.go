package scyllastate

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// ApplyEnvVars overrides fields with the environment variables that are set,
// and validates the result with ValidateAll. Errors name the variable when one
// is the cause; a variable that begins like ours and belongs to no field is
// one. cfg is unchanged when ApplyEnvVars fails.
func (cfg *Config) ApplyEnvVars() error {
	if err := refuseUnknownEnv(os.Environ()); err != nil {
		return err
	}
	jcfg := cfg.toJSON()
	if err := envconfig.Process(envPrefix, jcfg); err != nil {
		var parseErr *envconfig.ParseError
		if errors.As(err, &parseErr) {
			return fmt.Errorf("environment variable %s: %q is not %s", parseErr.KeyName, parseErr.Value, envKind(parseErr.TypeName))
		}
		return fmt.Errorf("reading the environment variables %s_*: %w", envPrefix, err)
	}
	settings, err := jcfg.parse()
	if err == nil {
		err = settings.ValidateAll()
	}
	if err != nil {
		return blameEnv(err)
	}
	cfg.set(settings)
	return nil
}

// blameEnv adds the name of the environment variable to an error about a field
// that the environment has set.
func blameEnv(err error) error {
	var fieldErr *fieldError
	if !errors.As(err, &fieldErr) {
		return err
	}
	name := envNames(reflect.TypeFor[configJSON](), envPrefix, "")[fieldErr.field]
	if _, set := os.LookupEnv(name); !set {
		return err
	}
	return fmt.Errorf("environment variable %s: %w", name, err)
}

// envNames maps the fields of t, by their path in service.json, to the names
// of their environment variables.
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
	case "int":
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
