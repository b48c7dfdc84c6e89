package section

import (
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/config"
)

var _ config.ComponentConfig = (*Section)(nil)

// Section is the place of a Config in a service.json that may not have it. The configuration
// manager loads it; Complete then tells whether events are on. While they are off it is
// written and shown as null, which is the same as no section.
type Section struct {
	Config
	on bool
}

// Complete returns the configuration, or nil if events are off: service.json has no such
// section, and the environment does not ask for them. It is called after the manager
// has loaded the file and applied the environment. Errors are like those of
// Config.ApplyEnvVars; an unknown variable is one, also if events are off.
func (s *Section) Complete() (*Config, error) {
	if s.on {
		return &s.Config, s.ValidateAll()
	}
	if err := CheckEnv(); err != nil || !AskedByEnv() {
		return nil, err
	}
	if err := s.Default(); err != nil {
		return nil, err
	}
	if err := s.Config.ApplyEnvVars(); err != nil {
		return nil, err
	}
	s.on = true
	return &s.Config, nil
}

// AskedByEnv tells whether the environment turns events on where service.json does not
// have the section: by servers in CLUSTER_EVENTS_URLS, or by
// CLUSTER_EVENTS_EMBEDDED_ENABLED with anything but a word for false.
func AskedByEnv() bool {
	variables := jsonSection().Variables(reflect.TypeFor[configJSON]())
	if strings.TrimSpace(os.Getenv(variables["urls"])) != "" {
		return true
	}
	enabled := os.Getenv(variables["embedded.enabled"])
	yes, err := strconv.ParseBool(enabled)
	return yes || err != nil && enabled != ""
}

// CheckEnv refuses environment variables that begin like ours and belong to no field: a
// misspelt one might have been meant to turn events on.
func CheckEnv() error {
	return jsonSection().RefuseUnknown(reflect.TypeFor[configJSON]())
}

// LoadJSON implements config.ComponentConfig.
func (s *Section) LoadJSON(raw []byte) error {
	s.on = true
	return s.Config.LoadJSON(raw)
}

// ApplyEnvVars implements config.ComponentConfig. The environment changes a section that
// is there; what else it asks for is for Complete.
func (s *Section) ApplyEnvVars() error {
	if !s.on {
		return nil
	}
	return s.Config.ApplyEnvVars()
}

// ToJSON implements config.ComponentConfig.
func (s *Section) ToJSON() ([]byte, error) {
	if !s.on {
		return []byte("null"), nil
	}
	return s.Config.ToJSON()
}

// ToDisplayJSON implements config.ComponentConfig.
func (s *Section) ToDisplayJSON() ([]byte, error) {
	if !s.on {
		return []byte("null"), nil
	}
	return s.Config.ToDisplayJSON()
}
