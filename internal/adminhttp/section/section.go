package section

import (
	"github.com/ipfs-cluster/ipfs-cluster/config"
)

var _ config.ComponentConfig = (*Section)(nil)

// Section is the place of a Config in a service.json that may not have it, as those of
// earlier versions. The configuration manager loads it; Complete then returns what holds.
// Where the file does not have it, it is written and shown as null, which is the same as no
// section.
type Section struct {
	Config
	there bool
}

// Complete returns the configuration. It is called after the manager has loaded the file
// and applied the environment. Without the section nothing listens unless the environment
// says so, and the other settings have their defaults. Errors are like those of
// Config.ApplyEnvVars.
func (s *Section) Complete() (*Config, error) {
	if s.there {
		return &s.Config, s.ValidateAll()
	}
	settings := defaultSettings()
	settings.Listen = ""
	s.set(settings)
	if err := s.Config.ApplyEnvVars(); err != nil {
		return nil, err
	}
	return &s.Config, nil
}

// LoadJSON implements config.ComponentConfig.
func (s *Section) LoadJSON(raw []byte) error {
	s.there = true
	return s.Config.LoadJSON(raw)
}

// ApplyEnvVars implements config.ComponentConfig. The environment changes a section that
// is there; where it is not, it is for Complete.
func (s *Section) ApplyEnvVars() error {
	if !s.there {
		return nil
	}
	return s.Config.ApplyEnvVars()
}

// ToJSON implements config.ComponentConfig.
func (s *Section) ToJSON() ([]byte, error) {
	if !s.there {
		return []byte("null"), nil
	}
	return s.Config.ToJSON()
}

// ToDisplayJSON implements config.ComponentConfig.
func (s *Section) ToDisplayJSON() ([]byte, error) {
	if !s.there {
		return []byte("null"), nil
	}
	return s.Config.ToDisplayJSON()
}
