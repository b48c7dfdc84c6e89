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
	URLs            []string     `json:"urls"`
	TLS             tlsJSON      `json:"tls"`
	CredentialsFile string       `json:"credentials_file,omitempty"`
	NKeyFile        string       `json:"nkey_file,omitempty"`
	Prefix          string       `json:"prefix"`
	Replicas        int          `json:"replicas"`
	MaxAge          string       `json:"max_age"`
	MaxBytes        int64        `json:"max_bytes"`
	MonitorURLs     []string     `json:"monitor_urls"`
	Embedded        embeddedJSON `json:"embedded"`
}

type tlsJSON struct {
	Enabled  bool   `json:"enabled"`
	CAFile   string `json:"ca_file,omitempty"`
	CertFile string `json:"cert_file,omitempty"`
	KeyFile  string `json:"key_file,omitempty"`
}

type embeddedJSON struct {
	Enabled        bool   `json:"enabled"`
	Listen         string `json:"listen"`
	MaxBytes       int64  `json:"max_bytes"`
	AllowManyPeers bool   `json:"allow_many_peers"`
}

// jsonSection is where a Config is in service.json.
func jsonSection() servicejson.Section {
	return servicejson.Section{Path: "state." + configKey, EnvPrefix: envPrefix, Page: "docs/events-configuration.md"}
}

// badField says what is wrong with one field, named as in service.json: "tls.ca_file".
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

// ToJSON returns cfg as it is written in service.json, passwords in URLs included.
func (cfg *Config) ToJSON() ([]byte, error) {
	return config.DefaultJSONMarshal(cfg.toJSON())
}

// ToDisplayJSON returns the configuration as JSON that can be shown: passwords and
// tokens in URLs are masked.
func (cfg *Config) ToDisplayJSON() ([]byte, error) {
	jcfg := cfg.toJSON()
	for _, urls := range [][]string{jcfg.URLs, jcfg.MonitorURLs} {
		for i := range urls {
			urls[i] = maskURL(urls[i])
		}
	}
	return servicejson.Display(jcfg)
}

func (cfg *Config) toJSON() *configJSON {
	return &configJSON{
		URLs:            append([]string{}, cfg.URLs...),
		TLS:             tlsJSON(cfg.TLS),
		CredentialsFile: cfg.CredentialsFile,
		NKeyFile:        cfg.NKeyFile,
		Prefix:          cfg.Prefix,
		Replicas:        cfg.Replicas,
		MaxAge:          cfg.MaxAge.String(),
		MaxBytes:        cfg.MaxBytes,
		MonitorURLs:     append([]string{}, cfg.MonitorURLs...),
		Embedded:        embeddedJSON(cfg.Embedded),
	}
}

// parse turns the written form into a Config that is not yet validated.
func (jcfg *configJSON) parse() (Config, error) {
	maxAge, err := time.ParseDuration(jcfg.MaxAge)
	if err != nil {
		return Config{}, badField("max_age", "%q is not a duration: write a number and a unit, as in 168h", jcfg.MaxAge)
	}
	return Config{
		URLs:            trimAll(jcfg.URLs),
		TLS:             TLS(jcfg.TLS),
		CredentialsFile: jcfg.CredentialsFile,
		NKeyFile:        jcfg.NKeyFile,
		Prefix:          jcfg.Prefix,
		Replicas:        jcfg.Replicas,
		MaxAge:          maxAge,
		MaxBytes:        jcfg.MaxBytes,
		MonitorURLs:     trimAll(jcfg.MonitorURLs),
		Embedded:        Embedded(jcfg.Embedded),
	}, nil
}

// trimAll drops the spaces that a list in an environment variable may have after
// commas.
func trimAll(texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		out = append(out, strings.TrimSpace(text))
	}
	return out
}
