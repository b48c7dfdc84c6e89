package section

import (
	"reflect"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/config"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/servicejson"
)

// configJSON is Config as it is written in service.json. The Go names of the fields
// give the names of the environment variables.
type configJSON struct {
	Listen      string      `json:"listen"`
	SlowQuery   string      `json:"slow_query"`
	Tracing     tracingJSON `json:"tracing"`
	CanaryEvery string      `json:"canary_every"`
	DriftEvery  string      `json:"drift_every"`
}

type tracingJSON struct {
	Endpoint          string  `json:"endpoint"`
	Insecure          bool    `json:"insecure"`
	CAFile            string  `json:"ca_file,omitempty"`
	HeadersFile       string  `json:"headers_file,omitempty"`
	SampleRatio       float64 `json:"sample_ratio"`
	ServerSampleRatio float64 `json:"server_sample_ratio"`
}

// jsonSection is where a Config is in service.json.
func jsonSection() servicejson.Section {
	return servicejson.Section{Path: "observations." + configKey, EnvPrefix: envPrefix, Page: "docs/admin-configuration.md"}
}

// badField says what is wrong with one field, named as in service.json.
func badField(field, format string, args ...any) error {
	return jsonSection().BadField(field, format, args...)
}

// LoadJSON sets cfg to the defaults overridden by the fields of raw, and validates it.
// Unknown fields are errors. cfg is unchanged when LoadJSON fails.
func (cfg *Config) LoadJSON(raw []byte) error {
	defaults := defaultSettings()
	jcfg := defaults.toJSON()
	if err := jsonSection().Decode(raw, jcfg); err != nil {
		return err
	}
	settings, err := jcfg.parse()
	if err != nil {
		return err
	}
	if err := settings.Validate(); err != nil {
		return err
	}
	cfg.set(settings)
	return nil
}

// ApplyEnvVars overrides fields with the environment variables that are set, and
// validates the result with ValidateAll. Errors name the variable when one is the
// cause; a variable that begins like ours and belongs to no field is one. cfg is
// unchanged when ApplyEnvVars fails.
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

// ToJSON returns cfg as it is written in service.json.
func (cfg *Config) ToJSON() ([]byte, error) { return config.DefaultJSONMarshal(cfg.toJSON()) }

// ToDisplayJSON returns the configuration as JSON that can be shown. There are no secrets in
// it: those are in files.
func (cfg *Config) ToDisplayJSON() ([]byte, error) { return servicejson.Display(cfg.toJSON()) }

func (cfg *Config) toJSON() *configJSON {
	return &configJSON{
		Listen: cfg.Listen, SlowQuery: cfg.SlowQuery.String(), Tracing: tracingJSON(cfg.Tracing),
		CanaryEvery: cfg.CanaryEvery.String(), DriftEvery: cfg.DriftEvery.String(),
	}
}

// parse turns the written form into a Config that is not yet validated.
func (jcfg *configJSON) parse() (Config, error) {
	cfg := Config{Listen: strings.TrimSpace(jcfg.Listen), Tracing: Tracing(jcfg.Tracing)}
	cfg.Tracing.Endpoint = strings.TrimSpace(cfg.Tracing.Endpoint)
	for _, d := range []struct {
		field, text string
		to          *time.Duration
	}{
		{"slow_query", jcfg.SlowQuery, &cfg.SlowQuery},
		{"canary_every", jcfg.CanaryEvery, &cfg.CanaryEvery},
		{"drift_every", jcfg.DriftEvery, &cfg.DriftEvery},
	} {
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil {
			return Config{}, badField(d.field, "%q is not a duration: write a number and a unit, as in 1m30s", d.text)
		}
	}
	return cfg, nil
}
