package scyllastate

import (
	"reflect"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// jsonSection is where a Config is in service.json.
func jsonSection() servicejson.Section {
	return servicejson.Section{Path: "state." + configKey, EnvPrefix: envPrefix, Page: "docs/configuration.md"}
}

// ApplyEnvVars overrides fields with the environment variables that are set,
// and validates the result with ValidateAll. Errors name the variable when one
// is the cause; a variable that begins like ours and belongs to no field is
// one. cfg is unchanged when ApplyEnvVars fails.
func (cfg *Config) ApplyEnvVars() error {
	jcfg := cfg.toJSON()
	if err := jsonSection().ApplyEnv(jcfg); err != nil {
		return err
	}
	settings, err := jcfg.parse()
	if err == nil {
		err = settings.ValidateAll()
	}
	if err != nil {
		return jsonSection().BlameEnv(reflect.TypeFor[configJSON](), err)
	}
	cfg.set(settings)
	return nil
}
